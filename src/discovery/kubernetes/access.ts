// Where the API server is and how the router proves itself to it: as configured, by a kubeconfig, or as a pod of the cluster.
import type { Config } from '../../config/schema.ts'
import type { Outside } from '../../host.ts'
import { read, type Credentials } from './credentials.ts'
import { readKubeconfig } from './kubeconfig.ts'

/** A way to one API server. Credentials are read anew for each request: tokens of service accounts live an hour. */
export interface Access {
  readonly url: string
  /** Where the router itself is; null: it does not know. */
  readonly namespace: string | null
  /** Asks for a path with its query. Rejects as the connection fails, and when credentials can't be read. */
  get(path: string, signal: AbortSignal): Promise<Response>
}

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'

type Keys = Pick<
  Config,
  | 'kubernetesApi'
  | 'kubernetesToken'
  | 'kubernetesTokenFile'
  | 'kubernetesCa'
  | 'kubernetesNamespace'
  | 'kubeconfig'
  | 'kubeContext'
>

/**
 * Finds the API server: `kubernetesApi`, else `kubeconfig`, else the files of KUBECONFIG, else the service account of the pod,
 * else ~/.kube/config.
 * @throws Error whose message says what is missing
 */
export async function findAccess(config: Keys, outside: Outside | undefined): Promise<Access> {
  if (!outside) throw new Error('this runtime can not reach a Kubernetes API server')
  const { url, namespace, token, tls } = await findCredentials(config, outside)
  return {
    url,
    namespace,
    async get(path, signal) {
      const [bearer, certificates] = await Promise.all([token(), tls()])
      const headers: Record<string, string> = {
        accept: 'application/json',
        'user-agent': 'fetchway',
        ...(bearer !== null && { authorization: `Bearer ${bearer}` }),
      }
      return outside.fetch(url + path, { headers, signal, tls: certificates })
    },
  }
}

async function findCredentials(config: Keys, outside: Outside): Promise<Credentials> {
  if (config.kubernetesApi !== undefined) return configured(config, outside)
  if (config.kubeconfig !== undefined) return readKubeconfig([config.kubeconfig], config.kubeContext, outside)
  const listed = (outside.env('KUBECONFIG') ?? '').split(':').filter((path) => path !== '')
  if (listed.length > 0) return readKubeconfig(listed, config.kubeContext, outside)
  const account = await serviceAccount(config, outside)
  if (account) return account
  const home = outside.env('HOME')
  if (home !== undefined && (await isThere(outside, `${home}/.kube/config`)))
    return readKubeconfig([`${home}/.kube/config`], config.kubeContext, outside)
  throw new Error(
    'no Kubernetes API server is known: this is no pod with a service account, and there is no kubeconfig. ' +
      'Set kubeconfig, or kubernetesApi with kubernetesToken or kubernetesTokenFile',
  )
}

function configured(config: Keys, outside: Outside): Credentials {
  const { kubernetesApi: url = '', kubernetesToken, kubernetesTokenFile, kubernetesCa } = config
  return {
    url: url.replace(/\/+$/, ''),
    namespace: null,
    token: async () =>
      kubernetesToken ?? (kubernetesTokenFile === undefined ? null : read(outside, kubernetesTokenFile)),
    tls: async () => (kubernetesCa === undefined ? {} : { ca: await read(outside, kubernetesCa) }),
  }
}

/** Of the pod that this runs in; null: it is in none. */
async function serviceAccount(config: Keys, outside: Outside): Promise<Credentials | null> {
  const host = outside.env('KUBERNETES_SERVICE_HOST')
  if (host === undefined || host === '') return null
  const port = outside.env('KUBERNETES_SERVICE_PORT') ?? '443'
  const {
    kubernetesToken,
    kubernetesTokenFile = `${ACCOUNT}/token`,
    kubernetesCa = `${ACCOUNT}/ca.crt`,
  } = config
  if (kubernetesToken === undefined && !(await isThere(outside, kubernetesTokenFile)))
    throw new Error(
      `this pod has no service account token (${kubernetesTokenFile}): is automountServiceAccountToken off?`,
    )
  const namespace = await read(outside, `${ACCOUNT}/namespace`).catch(() => null)
  return {
    url: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    namespace,
    token: async () => kubernetesToken ?? read(outside, kubernetesTokenFile),
    tls: async () => ({ ca: await read(outside, kubernetesCa) }),
  }
}

const isThere = async (outside: Outside, path: string): Promise<boolean> =>
  read(outside, path).then(
    () => true,
    () => false,
  )

// Where the API server is and how the router proves itself to it: as configured, by a kubeconfig, or as a pod of the cluster.
import type { Outside } from '../../host.ts'
import { accessBy, type AccessKeys, type Credentials, type FindAccess } from './credentials.ts'
import { configured, read } from './files.ts'
import { readKubeconfig } from './kubeconfig.ts'

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'

/**
 * Finds the API server: `kubernetesApi`, else `kubeconfig`, else the files of KUBECONFIG, else the service account of the pod,
 * else ~/.kube/config.
 * @throws Error whose message says what is missing
 */
export const findAccess: FindAccess = async (config, outside) => accessBy(findCredentials, config, outside)

async function findCredentials(config: AccessKeys, outside: Outside): Promise<Credentials> {
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

/** Of the pod that this runs in; null: it is in none. */
async function serviceAccount(config: AccessKeys, outside: Outside): Promise<Credentials | null> {
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

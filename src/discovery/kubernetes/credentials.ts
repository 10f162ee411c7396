// By what the router reaches an API server, and how it reads the files that hold it.
import type { Config } from '../../config/schema.ts'
import type { Outside, OutsideTls } from '../../host.ts'

/** What a kubeconfig, the cluster or the configuration came to. Each is read when it is needed. */
export interface Credentials {
  readonly url: string
  readonly namespace: string | null
  token(): Promise<string | null>
  tls(): Promise<OutsideTls>
}

/** A way to one API server. Credentials are read anew for each request: tokens of service accounts live an hour. */
export interface Access {
  readonly url: string
  /** Where the router itself is; null: it does not know. */
  readonly namespace: string | null
  /** Asks for a path with its query. Rejects as the connection fails, and when credentials can't be read. */
  get(path: string, signal: AbortSignal): Promise<Response>
}

export type AccessKeys = Pick<
  Config,
  | 'kubernetesApi'
  | 'kubernetesToken'
  | 'kubernetesTokenFile'
  | 'kubernetesCa'
  | 'kubernetesNamespace'
  | 'kubeconfig'
  | 'kubeContext'
>

/** Finds the way to the API server. @throws Error whose message says what is missing */
export type FindAccess = (config: AccessKeys, outside: Outside | undefined) => Promise<Access>

/** The way to the API server with such credentials. @throws Error whose message says what is missing */
export async function accessBy(
  find: (config: AccessKeys, outside: Outside) => Credentials | Promise<Credentials>,
  config: AccessKeys,
  outside: Outside | undefined,
): Promise<Access> {
  if (!outside) throw new Error('this runtime can not reach a Kubernetes API server')
  const { url, namespace, token, tls } = await find(config, outside)
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

/** The credentials that the configuration names itself. */
export function configured(config: AccessKeys, outside: Outside): Credentials {
  const { kubernetesApi: url = '', kubernetesToken, kubernetesTokenFile, kubernetesCa } = config
  return {
    url: url.replace(/\/+$/, ''),
    namespace: null,
    token: async () =>
      kubernetesToken ?? (kubernetesTokenFile === undefined ? null : read(outside, kubernetesTokenFile)),
    tls: async () => (kubernetesCa === undefined ? {} : { ca: await read(outside, kubernetesCa) }),
  }
}

/** The text of a file without the line break at its end. @throws Error that names the file */
export async function read({ files }: Outside, path: string): Promise<string> {
  if (!files) throw new Error(`this runtime has no files: ${path} can not be read`)
  try {
    return (await files.read(path)).trim()
  } catch (error) {
    throw new Error(`${path} can not be read: ${error instanceof Error ? error.message : String(error)}`)
  }
}

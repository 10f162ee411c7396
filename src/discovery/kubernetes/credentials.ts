// By what the router reaches an API server.
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

/** The credentials that the configuration says itself, without those in files. */
export const told = ({ kubernetesApi = '', kubernetesToken }: AccessKeys): Credentials => ({
  url: kubernetesApi.replace(/\/+$/, ''),
  namespace: null,
  token: async () => kubernetesToken ?? null,
  tls: async () => ({}),
})

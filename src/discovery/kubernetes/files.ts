// Files that hold what the router reaches an API server by.
import type { Outside } from '../../host.ts'
import { told, type AccessKeys, type Credentials } from './credentials.ts'

/** The credentials that the configuration names itself. */
export function configured(config: AccessKeys, outside: Outside): Credentials {
  const { kubernetesTokenFile, kubernetesCa } = config
  const said = told(config)
  return {
    ...said,
    token: async () =>
      (await said.token()) ?? (kubernetesTokenFile === undefined ? null : read(outside, kubernetesTokenFile)),
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

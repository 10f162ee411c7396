// By what the router reaches an API server, and how it reads the files that hold it.
import type { Outside, OutsideTls } from '../../host.ts'

/** What a kubeconfig, the cluster or the configuration came to. Each is read when it is needed. */
export interface Credentials {
  readonly url: string
  readonly namespace: string | null
  token(): Promise<string | null>
  tls(): Promise<OutsideTls>
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

// Reads kubeconfig files: the server, the authority that it is checked by, and the router's token or certificate.
import type { Outside, OutsideTls } from '../../host.ts'
import type { Credentials } from './credentials.ts'
import { read } from './files.ts'

type Fields = Readonly<Record<string, unknown>>

/** One file, and the folder that its relative paths begin at. */
interface Opened {
  readonly folder: string
  readonly fields: Fields
}

/** A named entry, and the folder of the file it stands in. */
interface Found {
  readonly folder: string
  readonly fields: Fields
}

/** Ways to prove oneself that are not taken, with what to write instead. */
const REFUSED: Readonly<Record<string, string>> = {
  exec: 'gets its credentials from a program, which the router does not run',
  'auth-provider': 'has an auth-provider, which Kubernetes itself has dropped',
  username: 'has a user name and password, which API servers do not take any more',
}
const INSTEAD =
  'give it a token, a tokenFile or a client certificate (kubectl create token NAME makes a token)'

/**
 * The credentials of a context. Of several files the first that has a name counts; files that are missing are left out.
 * @param context null: the current one
 * @throws Error that says which entry is missing or can't be used, never what is secret in it
 */
export async function readKubeconfig(
  paths: readonly string[],
  context: string | undefined,
  outside: Outside,
): Promise<Credentials> {
  const files = await open(paths, outside)
  const current =
    context ?? files.map(({ fields }) => textOf(fields, 'current-context')).find((name) => name !== '')
  if (current === undefined || current === '')
    throw new Error(`${paths.join(':')} has no current-context: set one, or kubeContext`)
  const chosen = entry(files, 'contexts', 'context', current)
  const cluster = entry(files, 'clusters', 'cluster', textOf(chosen.fields, 'cluster'))
  const user = entry(files, 'users', 'user', textOf(chosen.fields, 'user'))
  refuse(user.fields, textOf(chosen.fields, 'user'))
  if (textOf(cluster.fields, 'proxy-url') !== '')
    throw new Error('the cluster of the kubeconfig is behind a proxy-url, which is not supported')
  const url = textOf(cluster.fields, 'server').replace(/\/+$/, '')
  if (!/^https?:\/\/./.test(url)) throw new Error(`the cluster of the context ${current} has no server URL`)
  const namespace = textOf(chosen.fields, 'namespace')
  return {
    url,
    namespace: namespace === '' ? 'default' : namespace,
    token: () => tokenOf(user, outside),
    tls: () => tlsOf(cluster, user, outside),
  }
}

async function open(paths: readonly string[], outside: Outside): Promise<readonly Opened[]> {
  const opened: Opened[] = []
  let problem: unknown
  for (const path of paths) {
    try {
      const fields: unknown = await outside.files?.parseYaml(await read(outside, path))
      const folder = path.includes('/') ? path.slice(0, path.lastIndexOf('/') + 1) : ''
      if (isFields(fields)) opened.push({ folder, fields })
      else problem ??= new Error(`${path} is no kubeconfig`)
    } catch (error) {
      problem ??= error
    }
  }
  if (opened.length === 0) throw problem ?? new Error('no kubeconfig is given')
  return opened
}

function entry(files: readonly Opened[], list: string, part: string, name: string): Found {
  for (const { folder, fields } of files) {
    const items: readonly unknown[] = Array.isArray(fields[list]) ? fields[list] : []
    const item = items.find((one): one is Fields => isFields(one) && one['name'] === name)
    const found = item?.[part]
    if (item) return { folder, fields: isFields(found) ? found : {} }
  }
  throw new Error(`the kubeconfig has no ${part} named ${JSON.stringify(name)}`)
}

function refuse(user: Fields, name: string): void {
  for (const [field, why] of Object.entries(REFUSED)) {
    if (user[field] !== undefined && user[field] !== null)
      throw new Error(`the user ${JSON.stringify(name)} of the kubeconfig ${why}: ${INSTEAD}`)
  }
}

async function tokenOf({ folder, fields }: Found, outside: Outside): Promise<string | null> {
  const file = textOf(fields, 'tokenFile')
  // As kubectl has it: the file is the one that is renewed.
  if (file !== '') return read(outside, from(folder, file))
  const token = textOf(fields, 'token')
  return token === '' ? null : token
}

async function tlsOf(cluster: Found, user: Found, outside: Outside): Promise<OutsideTls> {
  const part = ({ folder, fields }: Found, name: string) => pemOf(fields, name, folder, outside)
  const [ca, cert, key] = await Promise.all([
    part(cluster, 'certificate-authority'),
    part(user, 'client-certificate'),
    part(user, 'client-key'),
  ])
  const serverName = textOf(cluster.fields, 'tls-server-name')
  return {
    ...(ca !== null && { ca }),
    ...(cert !== null && key !== null && { cert, key }),
    ...(serverName !== '' && { serverName }),
    ...(cluster.fields['insecure-skip-tls-verify'] === true && { isUnchecked: true }),
  }
}

/** Written into the file in Base64 (`NAME-data`), or into one of its own. */
async function pemOf(fields: Fields, name: string, folder: string, outside: Outside): Promise<string | null> {
  const encoded = textOf(fields, `${name}-data`)
  if (encoded !== '') return decode(encoded, `${name}-data`)
  const file = textOf(fields, name)
  return file === '' ? null : read(outside, from(folder, file))
}

function decode(encoded: string, name: string): string {
  try {
    return new TextDecoder().decode(Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0)))
  } catch {
    throw new Error(`${name} of the kubeconfig is no Base64`)
  }
}

const from = (folder: string, path: string): string => (path.startsWith('/') ? path : folder + path)

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const textOf = (fields: Fields, name: string): string => {
  const value = fields[name]
  return typeof value === 'string' ? value : ''
}

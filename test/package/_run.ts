// Runs programs for the tests of the package and tells how they ended.
import { execFile } from 'node:child_process'
import { cp, glob, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../../', import.meta.url))

export interface Ended {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program in a folder, with nothing in the environment that the test runner or npm put there. */
export function run(command: readonly string[], folder: string, path = process.env['PATH']): Promise<Ended> {
  const [file = '', ...args] = command
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(NODE_|FETCHWAY_|npm_(?!config_))/.test(name)),
  )
  return new Promise((resolve) => {
    execFile(file, args, { cwd: folder, env: { ...env, PATH: path } }, (error, stdout, stderr) => {
      resolve({ status: error ? Number(error.code ?? 1) : 0, stdout, stderr })
    })
  })
}

/** A new folder that is removed with everything in it. */
export async function emptyFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'fetchway-package-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/** What packing needs of the repository, copied: packing replaces package.json for a moment, others read it meanwhile. */
export async function copyRepository(to: string): Promise<void> {
  for (const name of ['adapters', 'src', 'tools', 'package.json', 'README.md', 'LICENSE']) {
    await cp(join(root, name), join(to, name), { recursive: true })
  }
  await symlink(join(root, 'node_modules'), join(to, 'node_modules'), 'dir')
}

/** Files of the repository that match any of the patterns. */
export async function filesLike(...patterns: string[]): Promise<string[]> {
  const found: string[] = []
  for await (const path of glob(patterns, { cwd: root })) found.push(path)
  return found
}

// Builds a real kube-apiserver, its etcd and a renderer of manifests from their Go modules, once: a quarter of an hour on two cores.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

export const VERSION = '1.34.4'

/** Outside of the repository, and kept: FETCHWAY_KUBE_CACHE, or a folder of the user's cache. */
export const CACHE =
  process.env['FETCHWAY_KUBE_CACHE'] ?? join(homedir(), '.cache/fetchway', `kube-${VERSION}`)

const STAMP = 'k8s.io/component-base/version'
const KUBE = [`-X ${STAMP}.gitVersion=v${VERSION}`, `-X ${STAMP}.gitMajor=1`, `-X ${STAMP}.gitMinor=34`]

/** Program, module, package, and what the linker writes into it. */
const PROGRAMS: readonly (readonly [string, string, string, readonly string[]])[] = [
  ['render', 'render', '.', []],
  ['etcd', 'server', './etcd', []],
  ['kube-apiserver', 'server', './apiserver', KUBE],
]

function build(): void {
  mkdirSync(CACHE, { recursive: true })
  for (const [name, module, path, stamps] of PROGRAMS) {
    const program = join(CACHE, name)
    if (existsSync(program)) continue
    const startedAt = performance.now()
    console.log(`building ${name} into ${CACHE}: this takes minutes, once`)
    const flags = [
      '-n',
      '15',
      'go',
      'build',
      '-p',
      '1',
      '-trimpath',
      '-ldflags',
      ['-s -w', ...stamps].join(' '),
    ]
    execFileSync('nice', [...flags, '-o', program, path], {
      cwd: fileURLToPath(new URL(module, import.meta.url)),
      env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=readonly' },
      stdio: 'inherit',
    })
    console.log(`${name} took ${Math.round((performance.now() - startedAt) / 1000)} s`)
  }
}

if (import.meta.main) build()

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { after, before, test } from 'node:test'
import { copyRepository, emptyFolder, root, run } from './_run.ts'

interface Manifest {
  readonly version: string
  readonly [key: string]: unknown
}

const readManifest = async (folder: string): Promise<Manifest> =>
  JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Manifest

let work: Awaited<ReturnType<typeof emptyFolder>>
let checkout = ''
let installed = ''

before(async () => {
  work = await emptyFolder()
  checkout = join(work.path, 'checkout')
  const place = join(work.path, 'place')
  await mkdir(place)
  await copyRepository(checkout)
  const packed = await run(['npm', 'pack', '--loglevel=error'], checkout)
  assert.equal(packed.status, 0, packed.stderr)
  const { version } = await readManifest(root)
  const tarball = join(checkout, `fetchway-${version}.tgz`)
  const done = await run(['npm', 'install', '--offline', '--loglevel=error', tarball], place)
  assert.equal(done.status, 0, done.stderr)
  installed = join(place, 'node_modules', 'fetchway')
})

after(() => work[Symbol.asyncDispose]())

const start = (args: readonly string[], node = process.execPath) =>
  run([node, join(installed, 'adapters', 'node.js'), ...args], work.path)

test('the packed tarball installs without a registry and depends on nothing', async () => {
  const manifest = await readManifest(installed)
  assert.equal(manifest.version, (await readManifest(root)).version)
  for (const key of ['dependencies', 'optionalDependencies', 'devDependencies', 'private'])
    assert.equal(manifest[key], undefined, key)
  assert.equal(existsSync(join(installed, 'src')), false)
  assert.match(await readFile(join(installed, 'dist', 'LICENSES.txt'), 'utf8'), /^yaml$/m)
})

test('packing leaves the repository its own package.json, also after a run that was interrupted', async () => {
  const own = await readManifest(root)
  assert.deepEqual(await readManifest(checkout), own)
  assert.equal((await run([process.execPath, 'tools/pack.mjs', 'prepare'], checkout)).status, 0)
  assert.notDeepEqual(await readManifest(checkout), own)
  assert.equal((await run([process.execPath, 'tools/pack.mjs', 'prepare'], checkout)).status, 0)
  assert.equal((await run([process.execPath, 'tools/pack.mjs', 'restore'], checkout)).status, 0)
  assert.deepEqual(await readManifest(checkout), own)
})

test('packing leaves a binary that was built before', async () => {
  const binary = join(checkout, 'dist', 'fetchway')
  await writeFile(binary, 'binary')
  assert.equal((await run([process.execPath, 'tools/pack.mjs', 'prepare'], checkout)).status, 0)
  assert.equal((await run([process.execPath, 'tools/pack.mjs', 'restore'], checkout)).status, 0)
  assert.equal(await readFile(binary, 'utf8'), 'binary')
})

test('the installed program tells its version', async () => {
  const { status, stdout } = await start(['--version'])
  assert.equal(stdout, `fetchway ${(await readManifest(root)).version}\n`)
  assert.equal(status, 0)
})

test('the installed demo loses no request', async () => {
  const { status, stdout, stderr } = await start(['demo', '--once', '--seconds', '2', '--port', '0'])
  assert.equal(status, 0, stdout + stderr)
  assert.match(stdout, /· 0 failed ·/)
})

test('the installed program has what it needs to dial a router', async () => {
  const { status, stdout, stderr } = await start(['connect', '--help'])
  assert.equal(status, 0, stderr)
  assert.match(stdout, /--token/)
})

test('the installed program reads a YAML file', async () => {
  const { status, stdout, stderr } = await start(['config', 'check', join(root, 'examples', 'fleet.yaml')])
  assert.equal(status, 0, stderr)
  assert.match(stdout, /good/)
})

test('the installed program serves by several threads', async (t) => {
  const argv = [join(installed, 'adapters', 'node.js'), '--port', '0', '--threads', '2']
  const child = spawn(process.execPath, argv, { cwd: work.path, stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  const [line] = (await once(child.stdout, 'data', { signal: AbortSignal.timeout(20_000) })) as [Buffer]
  const url = /Listening on (\S+)/.exec(line.toString())?.[1]
  assert.equal((await fetch(`${url}/livez`)).status, 200)
})

test('a Node that is too old is told so in one sentence', async (t) => {
  const old = await findOldNode()
  if (old === null) return t.skip('there is no Node before 22.19 on the PATH')
  const { status, stdout, stderr } = await start(['--version'], old)
  assert.equal(status, 1)
  assert.equal(stdout, '')
  assert.match(stderr, /^fetchway needs Node 22\.19 or newer[^\n]*\.\n$/)
})

/** A `node` on the PATH that is older than the package asks for. */
async function findOldNode(): Promise<string | null> {
  const name = process.platform === 'win32' ? 'node.exe' : 'node'
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const node = join(folder, name)
    if (!existsSync(node)) continue
    const { stdout } = await run([node, '--version'], work.path)
    const [major = 0, minor = 0] = stdout.trim().slice(1).split('.').map(Number)
    if (major > 0 && (major < 22 || (major === 22 && minor < 19))) return node
  }
  return null
}

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { version } from '../../src/version.ts'
import { root } from './_run.ts'

interface Package {
  readonly version: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly resolved?: string
}

const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const parse = <T>(path: string): T => JSON.parse(read(path)) as T
const manifest = parse<Package>('package.json')
const lock = parse<{ version: string; packages: Record<string, Package> }>('package-lock.json')

async function filesIn(...patterns: string[]): Promise<string[]> {
  const found: string[] = []
  const exclude = (name: string) => name.startsWith('.')
  for await (const path of glob(patterns, { cwd: root, exclude })) found.push(path)
  assert.ok(found.length > 0, `no file matches ${patterns.join(' ')}`)
  return found
}

/** A source without its comments. */
const codeOf = (path: string): string => read(path).replaceAll(/\/\*[^]*?\*\/|(?:^|\s)\/\/ [^\n]*/g, '')

const PACKAGES = ['itty-router', 'itty-router/IttyRouter', '@msgpack/msgpack']

test('no file in src names a runtime or leaves src', async () => {
  for (const path of await filesIn('src/**/*.ts')) {
    const code = codeOf(path)
    const runtime = /\b(?:process|Deno|Bun|Buffer)\.\w+|\b__dirname\b|\brequire\(/.exec(code)?.[0]
    assert.equal(runtime, undefined, `${path} says ${runtime}`)
    for (const [, specifier = ''] of code.matchAll(/(?:\bfrom|\bimport\()\s*'([^']+)'/g)) {
      const isPackage = PACKAGES.some((name) => name === specifier)
      const isOurs =
        specifier.startsWith('.') && specifier.endsWith('.ts') && !specifier.includes('adapters/')
      assert.ok(isPackage || isOurs, `${path} imports ${specifier}`)
    }
  }
})

test('no file is longer than two screens', async () => {
  const isLong = (most: number) => (path: string) => read(path).trimEnd().split('\n').length > most
  const program = await filesIn('{src,adapters,tools}/**/*.{ts,js,mjs}')
  assert.deepEqual(program.filter(isLong(300)), [])
  assert.deepEqual((await filesIn('{test,bench}/**/*.ts')).filter(isLong(500)), [])
})

test('the program, its package and its lock are of one version', () => {
  assert.equal(manifest.version, version)
  assert.equal(lock.version, version)
})

test('the lock names no registry and has what package.json asks for', () => {
  assert.deepEqual(
    Object.keys(lock.packages).filter((path) => lock.packages[path]?.resolved !== undefined),
    [],
  )
  for (const kind of ['dependencies', 'devDependencies', 'optionalDependencies'] as const)
    assert.deepEqual(lock.packages['']?.[kind], manifest[kind])
})

test('the lock knows the binaries of every platform', () => {
  for (const [path, { optionalDependencies = {} }] of Object.entries(lock.packages)) {
    for (const name of Object.keys(optionalDependencies)) {
      const isLocked =
        `node_modules/${name}` in lock.packages || `${path}/node_modules/${name}` in lock.packages
      assert.ok(isLocked, `${path} → ${name}: run node tools/complete-lock.mjs`)
    }
  }
})

test('every dependency is pinned, and imported somewhere', async () => {
  const { dependencies = {}, devDependencies = {}, optionalDependencies = {} } = manifest
  for (const [name, range] of Object.entries({
    ...dependencies,
    ...devDependencies,
    ...optionalDependencies,
  }))
    assert.match(range, /^\d+\.\d+\.\d+$/, name)
  const program = (await filesIn('{src,adapters}/**/*.{ts,js}')).map(codeOf).join('\n')
  for (const name of Object.keys(dependencies))
    assert.match(program, new RegExp(`'${name}(?:/|')`), `${name} is not imported`)
})

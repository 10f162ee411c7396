import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { glob, readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { loadFile } from '../../adapters/cli/sources.ts'
import { fields } from '../../src/config/fields.ts'
import { formatIssue } from '../../src/config/issues.ts'
import { policyWords } from '../../src/policies/words.ts'
import { emptyFolder, filesLike, root, run } from './_run.ts'

const read = (path: string): string => readFileSync(join(root, path), 'utf8')

/** Rows of the tables in a page, as texts of cells, without heads. */
const rowsOf = (page: string): string[][] =>
  page
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.includes('| ---'))
    .map((line) => line.slice(1, -1).split(/(?<!\\)\|/))
    .map((cells) => cells.map((cell) => cell.trim().replaceAll('\\|', '|').replaceAll('`', '')))

test('the reference pages are those that the code writes', async () => {
  await using fresh = await emptyFolder()
  const { status, stderr } = await run([process.execPath, 'tools/reference.mjs', fresh.path], root)
  assert.equal(status, 0, stderr)
  const names = await readdir(fresh.path)
  assert.deepEqual(names, ['configuration.md', 'metrics.md'])
  for (const name of names)
    assert.equal(read(`docs/${name}`), await readFile(join(fresh.path, name), 'utf8'), 'npm run reference')
})

test('the flags in the README exist and have the defaults told there', () => {
  const rows = rowsOf(read('README.md')).filter(
    ([flag, second]) => flag?.startsWith('--') && second !== 'chooses',
  )
  assert.ok(rows.length > 10)
  for (const [flag = '', initial = ''] of rows) {
    const field = fields().find((one) => `--${one.flag}` === flag.split(' ')[0])
    assert.ok(field, flag)
    const real =
      typeof field.initial === 'object' ? '' : JSON.stringify(field.initial ?? '').replaceAll('"', '')
    assert.equal(initial, real, flag)
  }
})

test('the policies in the README are those that there are', () => {
  const told = rowsOf(read('README.md')).flatMap(([name = '', about = '']) =>
    Object.hasOwn(policyWords, name) ? [[name, about]] : [],
  )
  assert.deepEqual(told, Object.entries(policyWords))
})

test('the error codes in docs/http.md are those that the code uses', async () => {
  const found = new Set<string>()
  for await (const path of glob('{src,adapters}/**/*.ts', { cwd: root })) {
    if (path.startsWith(join('src', 'simulator'))) continue
    const code = read(path)
    for (const [, name = ''] of code.matchAll(/(?:Refusal|refuse)\(\s*[\d.\w]+,\s*'(\w+)'/g)) found.add(name)
    for (const [, name = ''] of code.matchAll(/status: \d+,\s*code: '(\w+)'/g)) found.add(name)
  }
  const section = /## Errors\n(.*?)(?:\n## |$)/s.exec(read('docs/http.md'))?.[1] ?? ''
  const told = new Set(rowsOf(section).flatMap(([codes = '']) => codes.split(', ')))
  // The client that would read it has left.
  found.delete('client_left')
  assert.ok(found.size > 20)
  assert.deepEqual([...found].filter((name) => !told.has(name)).sort(), [])
})

test('links lead to files that are there', async () => {
  for await (const path of glob(['*.md', '{docs,bench}/*.md', 'examples/**/*.md'], { cwd: root })) {
    for (const [, target = ''] of read(path).matchAll(/\]\((?!https?:|#)([^)#]+)/g))
      assert.ok(existsSync(join(root, dirname(path), target)), `${path} links to ${target}`)
  }
})

test('every example is a good configuration', async () => {
  const secrets = [
    'FETCHWAY_ADMIN_KEY',
    'ADMIN_KEY',
    'CHAT_KEY',
    'BATCH_KEY',
    'EMBEDDINGS_KEY',
    'TEAM_KEY',
    'TEAM_A_KEY',
    'TEAM_B_KEY',
  ]
  const environment = Object.fromEntries(secrets.map((name) => [name, `key-${name.toLowerCase()}`]))
  const examples = await filesLike('examples/**/*.yaml')
  assert.ok(examples.length > 4)
  for (const name of examples) {
    const loaded = await loadFile(name, { directory: root, environment })
    assert.deepEqual(loaded.config === null ? loaded.issues.map(formatIssue) : [], [], name)
  }
})

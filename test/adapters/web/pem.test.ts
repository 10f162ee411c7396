import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readPem, tlsOf } from '../../../adapters/web/pem.ts'

const file = (name: string) => new URL(`../node/tls/${name}`, import.meta.url).pathname
const [CERT, KEY] = [file('cert.pem'), file('key.pem')]

test('certificate and key are read where both are named', () => {
  const { tls } = tlsOf({ tlsCert: CERT, tlsKey: KEY })
  assert.match(tls?.cert ?? '', /BEGIN CERTIFICATE/)
  assert.match(tls?.key ?? '', /PRIVATE KEY/)
  assert.deepEqual(tlsOf({}), {})
})

test('what is wrong with a file is told under its key', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'fetchway-pem-'))
  t.after(() => rm(folder, { recursive: true }))
  const garbage = join(folder, 'bad.pem')
  await writeFile(garbage, 'garbage')
  const told = (path: string) => () => readPem('tlsCert', path, 'CERTIFICATE')
  assert.throws(told(join(folder, 'none')), /^Error: tlsCert: there is no file .*none$/)
  assert.throws(told(folder), /^Error: tlsCert: .* is a folder: name the file in it$/)
  assert.throws(told(garbage), /^Error: tlsCert: there is no -----BEGIN CERTIFICATE----- in .*bad\.pem$/)
  assert.throws(told(KEY), /^Error: tlsCert: there is no -----BEGIN CERTIFICATE-----/)
})

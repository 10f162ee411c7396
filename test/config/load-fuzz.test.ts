import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseConfigFile } from '../../adapters/cli/yaml.ts'
import { fields } from '../../src/config/fields.ts'
import { formatIssue } from '../../src/config/issues.ts'
import { load } from '../../src/config/load.ts'

const key = fc.oneof(fc.constantFrom(...fields().map((field) => field.key)), fc.string({ maxLength: 12 }))
const leaf = fc.oneof(
  fc.constantFrom('gpu1:8000', '30s', '1GiB', 'off', '${A}', '${B}', 'a,b', '::1', '__proto__', ''),
  fc.string({ maxLength: 12 }),
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
)
const value = fc.oneof(
  leaf,
  fc.array(leaf, { maxLength: 3 }),
  fc.dictionary(key, leaf, { maxKeys: 3 }),
  fc.array(fc.dictionary(key, leaf, { maxKeys: 3 }), { maxLength: 2 }),
)
const flag = fc.oneof(
  fc.constantFrom(...fields().map((field) => `--${field.flag}`), '--', '-', '--no-metrics', '--config', '-x'),
  leaf.map(String),
)

test('whatever stands in a file is a configuration or issues at its lines, never an exception', () => {
  fc.assert(
    fc.property(fc.dictionary(key, value, { maxKeys: 5 }), (content) => {
      const text = JSON.stringify(content, null, 1)
      const { config, issues } = load({ file: parseConfigFile('f.json', text), environment: { A: 'x' } })
      assert.equal(config === null, issues.length > 0)
      for (const issue of issues) {
        assert.ok(issue.message.length > 0 && (issue.line ?? 0) >= 1, formatIssue(issue))
        assert.ok((issue.line ?? 0) <= text.split('\n').length)
      }
    }),
    { numRuns: 300 },
  )
})

test('any text is a file, any arguments are flags, any variables an environment, and none throws', () => {
  const variable = fc.oneof(
    fc.constantFrom(...fields().map((field) => field.env)),
    fc.string().map((name) => `FETCHWAY_${name}`),
  )
  fc.assert(
    fc.property(
      fc.string({ maxLength: 60 }),
      fc.array(flag, { maxLength: 6 }),
      fc.dictionary(variable, leaf.map(String), { maxKeys: 4 }),
      (text, flags, environment) => {
        const loaded = load({
          file: parseConfigFile('f.yaml', text),
          flags,
          environment,
          dotenv: { name: '.env', text },
        })
        assert.equal(loaded.config === null, loaded.issues.length > 0)
      },
    ),
    { numRuns: 300 },
  )
})

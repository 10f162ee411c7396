// Writes the reference pages that the code itself knows best: docs/configuration.md and docs/metrics.md.
// usage: node tools/reference.mjs [folder]   (docs/ by default; a test holds the pages in docs/ against a fresh run)
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { jsonSchema } from '../src/config/json-schema.ts'
import { toldFields } from '../src/config/words.ts'
import { createInstruments } from '../src/metrics/instruments.ts'
import { showProcess } from '../src/metrics/process-readings.ts'
import { createMeter, DROPPED } from '../src/metrics/prometheus.ts'
import { policyWords } from '../src/policies/words.ts'

const folder = process.argv[2] ?? fileURLToPath(new URL('../docs/', import.meta.url))
mkdirSync(folder, { recursive: true })
writeFileSync(join(folder, 'configuration.md'), configurationPage())
writeFileSync(join(folder, 'metrics.md'), metricsPage())

function configurationPage() {
  const all = toldFields()
  const groups = [...new Set(all.map((field) => field.group))]
  return `${[
    '# Configuration',
    '',
    'Written by `npm run reference` from `src/config/schema.ts` and `src/config/words.ts`.',
    '',
    'Every key has one name in three spellings: camelCase in a YAML or JSON file (`--config FILE`), a flag, and a variable.',
    'Flags beat the environment, which beats `.env` in the working directory, which beats the file.',
    'Durations take `ms`, `s`, `m`, `h`, `d` (`1m30s`; a bare number: seconds) or `off`; sizes take `KB`, `MB`, `GB`, `KiB`, `MiB`, `GiB`.',
    'Lists and maps are given by repeating the flag, or separated by commas in a variable. `${NAME}` in a file is replaced from the environment.',
    '`fetchway config show` prints what is in effect and where each value came from, `fetchway config check FILE` says what is wrong with a file,',
    'and `fetchway config schema` prints a JSON Schema for editors. SIGHUP makes a running router read everything anew.',
    '',
    ...groups.flatMap((group) => [
      `## ${group}`,
      '',
      ...table(
        ['file', 'flag', 'environment', 'default', 'meaning'],
        all.filter((field) => field.group === group).map(fieldRow),
      ),
      '',
    ]),
    '## A worker as an object',
    '',
    'In a file, and in `POST /fetchway/v1/workers`, a worker is its URL or an object:',
    '',
    ...table(['key', 'default', 'meaning'], objectRows('workers')),
    '',
    '## A key as an object',
    '',
    'In a file, an entry of `apiKeys` is the key itself or an object:',
    '',
    ...table(['key', 'default', 'meaning'], objectRows('apiKeys')),
    '',
    '## A tunnel token as an object',
    '',
    'In a file, an entry of `tunnelTokens` is the token itself or an object:',
    '',
    ...table(['key', 'default', 'meaning'], objectRows('tunnelTokens')),
    '',
    '## Policies',
    '',
    ...table(
      ['`--policy`', 'chooses'],
      Object.entries(policyWords).map(([name, about]) => [code(name), about]),
    ),
  ].join('\n')}\n`
}

function fieldRow({ key, flag, env, kind, initial, choices, about }) {
  const said = choices.length > 0 ? `${about}: ${choices.map(code).join(', ')}` : about
  return [
    code(key),
    code(`--${kind === 'boolean' ? '[no-]' : ''}${flag}`),
    code(env),
    initialText(initial),
    said,
  ]
}

/** Rows for the keys of the object form of a list's items. */
function objectRows(key) {
  const items = jsonSchema().properties[key].items
  const { properties, required = [] } = items.anyOf.find((one) => one.type === 'object')
  return Object.entries(properties).map(([name, { default: initial, description = '', enum: choices }]) => [
    code(name),
    required.includes(name) ? 'required' : initialText(initial),
    choices ? [description, choices.map(code).join(', ')].filter(Boolean).join('; ') : description,
  ])
}

function metricsPage() {
  const families = new Map([[DROPPED.name, { type: 'counter', ...DROPPED }]])
  const labelled = (type) => (name, help, labels, buckets) => {
    families.set(name, { type, help, labels, buckets })
    return real[type](name, help, labels, buckets)
  }
  const real = createMeter()
  createInstruments(
    { ...real, counter: labelled('counter'), gauge: labelled('gauge'), histogram: labelled('histogram') },
    {
      showProcess: (meter) =>
        showProcess(meter, { residentBytes: () => 0, cpuSeconds: () => 0, loopLagSeconds: () => 0 }),
    },
  )
  return `${[
    '# Metrics',
    '',
    'Written by `npm run reference` from `src/metrics/`.',
    '',
    '`GET /metrics` has them in the Prometheus text format. Times are seconds, sizes bytes, lengths tokens. `worker` is a',
    'worker’s id, which `fetchway_worker_info` maps to its URL (shown to those who may use the control plane). Each metric',
    'keeps at most 2000 series; what comes after that is counted under `other`. A dashboard is in `deploy/grafana/`.',
    '',
    ...table(
      ['metric', 'type', 'labels', 'meaning'],
      [...families].map(([name, { type, help, labels }]) => [
        code(name),
        type,
        labels.map(code).join(' '),
        help.replace(/\.$/, ''),
      ]),
    ),
  ].join('\n')}\n`
}

function initialText(initial) {
  if (initial === undefined) return ''
  if (Array.isArray(initial)) return initial.map(code).join(', ')
  if (typeof initial === 'object') return ''
  return code(String(initial))
}

function code(text) {
  return `\`${text}\``
}

function table(head, rows) {
  const line = (cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)]
}

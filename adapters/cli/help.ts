// The help text: flags with their defaults and units, generated from the schema.
import { toldFields, type ToldField } from '../../src/config/words.ts'
import { policyWords } from '../../src/policies/words.ts'

const WIDTH = 96
const INDENT = 34

export const COMMANDS: readonly (readonly [string, string])[] = [
  ['serve [URL…]', 'route calls to these workers (also without the word "serve")'],
  ['connect URL', 'lend an engine without an inbound port to the router there'],
  ['as NAME [flags]', 'stand in for another router by its own flags; fetchway as NAME --help'],
  ['import NAME -- [flags]', 'the configuration file that those flags amount to'],
  ['demo', 'a fleet of simulated engines under load behind a real router'],
  ['engine', 'one simulated engine: vllm, sglang or lmdeploy'],
  ['replay TRACE', 'what each policy would have made of recorded traffic, in simulated time'],
  ['bench run|sweep|chat', 'load on any OpenAI endpoint, and what came of it'],
  ['smoke URL', 'asks a router for its health and for one sentence'],
  ['config check FILE', 'say what is wrong with a file, with lines'],
  ['config show', 'the configuration in effect, and where each value came from'],
  ['config schema', 'JSON Schema of the file, for editors'],
  ['help', 'this text'],
]

/** The whole help, less than 100 columns wide. */
export function helpText(): string {
  const all = toldFields()
  const headings = [...new Set(all.map((field) => field.group))]
  return [
    'Fetchway: one OpenAI-compatible endpoint in front of vLLM, SGLang and LMDeploy servers.',
    '',
    'Usage: fetchway [URL…] [flags]           e.g. fetchway gpu1:8000 gpu2:8000 --port 9000',
    '       fetchway COMMAND [flags]',
    '',
    'Commands',
    ...COMMANDS.flatMap(([name, about]) => row(name, about)),
    '',
    ...headings.flatMap((heading) => [
      heading,
      ...all.filter((field) => field.group === heading).flatMap(fieldRow),
      '',
    ]),
    'Policies',
    ...Object.entries(policyWords).flatMap(([name, about]) => row(name, about)),
    '',
    'Everything else',
    ...row('-c, --config FILE', 'YAML or JSON file with these names in camelCase'),
    ...row('-h, --help', 'this text'),
    ...row('-V, --version', 'the version'),
    '',
    ...wrap(
      'Durations take ms, s, m, h, d (1m30s; a bare number: seconds) or off; sizes take KB, MB, GB, KiB, MiB, GiB. The same names are read as FETCHWAY_… variables (FETCHWAY_QUEUE_TIMEOUT=30s; lists separated by commas), also from .env in the working directory. Flags beat the environment, which beats .env, which beats the file. ${NAME} in a file is replaced from the environment. SIGHUP reads everything anew.',
      WIDTH,
    ),
    '',
  ].join('\n')
}

function fieldRow(field: ToldField): string[] {
  const initial = initialText(field)
  const isPolicy = field.key === 'policy' || field.key === 'shadowPolicy'
  const list = isPolicy ? 'the policies below' : field.choices.join(', ')
  const choices = field.choices.length > 0 ? `; one of ${list}` : ''
  const repeats = field.kind === 'list' || field.kind === 'map' ? '; repeatable' : ''
  return row(
    `--${field.kind === 'boolean' ? '[no-]' : ''}${field.flag}${valueName(field)}`,
    `${field.about}${choices}${repeats}${initial === '' ? '' : ` [${initial}]`}`,
  )
}

function valueName(field: ToldField): string {
  if (field.kind === 'boolean') return ''
  if (field.key === 'aliases') return ' NAME=MODEL'
  if (field.key === 'ranks') return ' N|ask'
  if (field.key === 'prefill') return ' URL[,PORT]'
  if (field.key === 'workers' || field.key === 'decode') return ' URL'
  const names: Readonly<Record<string, string>> = {
    integer: 'N',
    number: 'X',
    duration: 'TIME',
    size: 'SIZE',
    choice: 'NAME',
    list: 'TEXT',
    map: 'NAME=VALUE',
  }
  const isPath = ['socket', 'tlsCert', 'tlsKey', 'state', 'record'].includes(field.key)
  return ` ${isPath ? 'FILE' : field.isSecret || field.key === 'workerApiKey' ? 'KEY' : (names[field.kind] ?? 'TEXT')}`
}

function initialText(field: ToldField): string {
  const { initial } = field
  if (initial === undefined) return ''
  if (Array.isArray(initial)) return initial.join(', ')
  return typeof initial === 'object' ? '' : JSON.stringify(initial).replaceAll('"', '')
}

function row(name: string, about: string): string[] {
  const lines = wrap(about, WIDTH - INDENT)
  const head = `  ${name}`
  const isLong = head.length > INDENT - 2
  const first = isLong
    ? [head, ' '.repeat(INDENT) + (lines[0] ?? '')]
    : [head.padEnd(INDENT) + (lines[0] ?? '')]
  return [...first, ...lines.slice(1).map((line) => ' '.repeat(INDENT) + line)]
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}

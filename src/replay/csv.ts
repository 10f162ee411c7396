// Reads traces that are tables: those of Azure's LLM inference and of BurstGPT. They know lengths, but not what prompts have in common.
import { BLOCK_TOKENS } from './engine.ts'
import { Numbering, shown, wholeNumber, type TraceReader, type TraceRequest } from './trace.ts'

type Cells = (column: string) => string

interface Table {
  readonly format: string
  readonly time: string
  readonly input: string
  readonly output: string
  readonly session: string | null
  /** Seconds, from any beginning. */
  readonly at: (cell: string) => number
  /** A call without an answer is one that failed. */
  readonly skipsUnanswered: boolean
}

const AZURE: Table = {
  format: 'azure',
  time: 'TIMESTAMP',
  input: 'ContextTokens',
  output: 'GeneratedTokens',
  session: null,
  at: dateSeconds,
  skipsUnanswered: false,
}

const BURST_GPT: Table = {
  format: 'burstgpt',
  time: 'Timestamp',
  input: 'Request tokens',
  output: 'Response tokens',
  session: 'Session ID',
  at: numberCell,
  skipsUnanswered: true,
}

/** Answers a reader for a table with this heading, or null when it is none that we know. */
export function tableReader(heading: string): TraceReader | null {
  const columns = cellsOf(heading)
  const has = (table: Table) =>
    [table.time, table.input, table.output].every((name) => columns.includes(name))
  const table = [AZURE, BURST_GPT].find(has)
  return table ? rowReader(table, columns) : null
}

function rowReader(table: Table, columns: readonly string[]): TraceReader {
  const requests: TraceRequest[] = []
  const numbers = new Numbering<never>()
  let skipped = 0
  let isHeading = true
  return {
    format: table.format,
    read(line) {
      if (isHeading) return void (isHeading = false)
      const cells = cellsOf(line)
      if (cells.length < columns.length)
        throw new Error(`has ${cells.length} columns where the heading has ${columns.length}`)
      const cell: Cells = (name) => cells[columns.indexOf(name)] ?? ''
      const request = rowRequest(table, cell, numbers)
      if (request) requests.push(request)
      else skipped++
    },
    end: () => ({ format: table.format, requests, skipped }),
  }
}

function rowRequest(table: Table, cell: Cells, numbers: Numbering<never>): TraceRequest | null {
  const at = finite(table.at(cell(table.time)), table.time, cell(table.time))
  const input = Math.max(2, tokensIn(cell(table.input), table.input))
  const output = tokensIn(cell(table.output), table.output)
  if (output === 0 && table.skipsUnanswered) return null
  const session = table.session === null ? '' : cell(table.session)
  const blocks = Int32Array.from({ length: Math.ceil(input / BLOCK_TOKENS) }, () => numbers.fresh())
  return { at, input, output: Math.max(1, output), blocks, session: session || null, prompt: null }
}

/** No cell of these tables holds a comma or a line break. */
const cellsOf = (line: string): string[] =>
  line.split(',').map((cell) => cell.trim().replace(/^"(.*)"$/, '$1'))

function numberCell(cell: string): number {
  return cell === '' ? Number.NaN : Number(cell)
}

/** What is no number is shown as it was written. */
function tokensIn(cell: string, name: string): number {
  return wholeNumber(/^\d+(\.0*)?$/.test(cell) ? Number(cell) : cell, name, 0)
}

/** Seconds of 2023-11-16 18:15:46.6805900, or with +00:00 behind it; fractions as fine as they are. */
function dateSeconds(cell: string): number {
  const parts = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:?\d\d)?$/.exec(cell)
  if (!parts) return Number.NaN
  const [, day, time, fraction = '0', zone = 'Z'] = parts
  return Date.parse(`${day}T${time}${zone}`) / 1000 + Number(fraction)
}

function finite(value: number, name: string, cell: string): number {
  if (Number.isFinite(value)) return value
  throw new Error(`${name} is no time: ${shown(cell)}`)
}

// Reads a `.env` file, and the FETCHWAY_… variables in it, into values of the configuration.
import { readVariables, type Variables } from './environment.ts'
import type { Field } from './fields.ts'
import type { ConfigIssue } from './issues.ts'

/** One assignment of a .env file. */
export interface Assignment {
  readonly name: string
  readonly value: string
  /** From 1. */
  readonly line: number
}

/** Values of a .env file. */
export function readDotenv(file: { name: string; text: string }, fields: readonly Field[]): Variables {
  const { assignments, issues } = parseDotenv(file.text)
  const lines = new Map(assignments.map(({ name, line }) => [name, line]))
  const read = readVariables(assignments, fields, (name) => ({
    source: 'dotenv',
    name,
    file: file.name,
    line: lines.get(name) ?? 1,
  }))
  const broken = issues.map(({ line, message }): ConfigIssue => ({
    source: 'dotenv',
    name: '',
    key: '',
    file: file.name,
    line,
    message,
  }))
  return { ...read, issues: [...broken, ...read.issues] }
}

/** Parses `NAME=value` lines: comments, blank lines, `export `, single and double quotes (the latter with \n, \t, \", \\). */
export function parseDotenv(text: string): {
  assignments: Assignment[]
  issues: { line: number; message: string }[]
} {
  const assignments: Assignment[] = []
  const issues: { line: number; message: string }[] = []
  for (const [index, written] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    const line = index + 1
    if (/^\s*(#|$)/.test(written)) continue
    const match = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*=\s*(.*)$/.exec(written)
    const value = match ? unquote(match[2] ?? '') : null
    if (!match || value === null)
      issues.push({ line, message: 'cannot be read; write NAME=value, with both quotes if any' })
    else assignments.push({ name: match[1] ?? '', value, line })
  }
  return { assignments, issues }
}

function unquote(written: string): string | null {
  const single = /^'([^']*)'\s*(#.*)?$/.exec(written)
  if (single) return single[1] ?? ''
  const double = /^"((?:[^"\\]|\\.)*)"\s*(#.*)?$/.exec(written)
  if (double)
    return (double[1] ?? '').replace(/\\(.)/g, (_, char: string) =>
      char === 'n' ? '\n' : char === 't' ? '\t' : char,
    )
  if (/^['"]/.test(written)) return null
  return written.replace(/(^|\s+)#.*$/, '').trim()
}

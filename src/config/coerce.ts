// Turns the text of a flag or variable into the value that the schema expects for its key.
import type { Field } from './fields.ts'

export type Coerced = { readonly value: unknown } | { readonly problem: string }

const BOOLEANS: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  1: true,
  false: false,
  no: false,
  off: false,
  0: false,
}

/** Reads `true`, `yes`, `on`, `1` and their opposites; null for anything else. */
export function readBoolean(text: string): boolean | null {
  return BOOLEANS[text.trim().toLowerCase()] ?? null
}

/** The value of a key that is no list and no map. Ranges and choices are left to the schema. */
export function coerceScalar(field: Field, text: string): Coerced {
  if (field.kind === 'boolean') {
    const value = readBoolean(text)
    return value === null ? { problem: `expected true or false, got ${show(field, text)}` } : { value }
  }
  if (field.kind === 'integer' || field.kind === 'number' || field.kind === 'mixed') {
    const isNumber = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text.trim())
    if (isNumber) return { value: Number(text) }
    if (field.kind === 'mixed') return { value: text }
    return {
      problem: `expected ${field.kind === 'integer' ? 'a whole number' : 'a number'}, got ${show(field, text)}`,
    }
  }
  return { value: text }
}

/** Items of a list, or pairs of a map, out of the text of a variable: JSON, or separated by commas. */
export function coerceMany(field: Field, text: string): Coerced {
  const trimmed = text.trim()
  if (/^\[["'{\]\s]|^\{/.test(trimmed)) {
    try {
      return { value: JSON.parse(trimmed) as unknown }
    } catch {
      return {
        problem: 'looks like JSON but cannot be read as such; write JSON, or items separated by commas',
      }
    }
  }
  return field.kind === 'map' ? pairs(splitItems(field, trimmed)) : { value: splitItems(field, trimmed) }
}

/** Items of a list in one text. A prefill worker's bootstrap port stays with its URL; keys may hold anything but commas. */
export function splitItems(field: Field, text: string): string[] {
  const items: string[] = []
  for (const part of text.split(',').map((item) => item.trim())) {
    const last = items.length - 1
    if (field.key === 'prefill' && /^(\d+|none)$/.test(part) && last >= 0)
      items[last] = `${items[last]},${part}`
    else if (part !== '') items.push(part)
  }
  return items
}

/** `NAME=VALUE` texts as a map; the value may hold `=` again. */
export function pairs(items: readonly string[]): Coerced {
  const map: Record<string, string> = {}
  for (const item of items) {
    const equals = item.indexOf('=')
    if (equals <= 0 || equals === item.length - 1)
      return { problem: `expected NAME=VALUE, got ${JSON.stringify(item)}` }
    const name = item.slice(0, equals).trim()
    if (Object.hasOwn(map, name)) return { problem: `${JSON.stringify(name)} is given twice; leave one out` }
    Object.defineProperty(map, name, { value: item.slice(equals + 1).trim(), enumerable: true })
  }
  return { value: map }
}

const show = (field: Field, text: string): string =>
  field.isSecret ? 'something else' : JSON.stringify(text)

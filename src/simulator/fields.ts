// Reads fields of request bodies, whose types nobody vouches for.
import { EngineRefusal } from './refusal.ts'

export type Fields = Readonly<Record<string, unknown>>

export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A number, or null when the field is absent or null; anything else is refused. */
export function numberField(fields: Fields, name: string): number | null {
  const value = fields[name]
  if (value === undefined || value === null) return null
  if (typeof value === 'number') return value
  throw new EngineRefusal('invalid', wrongType(name, 'int_type', 'Input should be a valid integer', value), {
    param: `body.${name}`,
  })
}

/** A string, or null where there is none of that name. */
export function stringField(fields: Fields, name: string): string | null {
  const value = fields[name]
  return typeof value === 'string' ? value : null
}

/** A string or a list of strings as a list. */
export function listField(fields: Fields, name: string): string[] {
  const value = fields[name]
  if (typeof value === 'string') return [value]
  return Array.isArray(value) ? value.filter((part) => typeof part === 'string') : []
}

/** An object; empty where there is none of that name. */
export function objectField(fields: Fields, name: string): Fields {
  const value = fields[name]
  return isFields(value) ? value : {}
}

/** The refusal of a body in which a field is missing. */
export function missingField(fields: Fields, name: string): EngineRefusal {
  const input = `<dict of ${Object.keys(fields).length} items>`
  const message = `1 validation error:\n  {'type': 'missing', 'loc': 'body.${name}', 'msg': 'Field required', 'input': '${input}'}`
  return new EngineRefusal('invalid', message, { param: `body.${name}` })
}

function wrongType(name: string, type: string, message: string, value: unknown): string {
  return `1 validation error:\n  {'type': '${type}', 'loc': 'body.${name}', 'msg': '${message}', 'input': '${typeof value}'}`
}

// A JSON value that satisfies a JSON schema, for structured output and tool arguments.

type Schema = Readonly<Record<string, unknown>>

/** Items or characters that a value has at most, whatever its schema asks for. */
const MOST = 10_000

/** The smallest plausible value; `chance` (an integer) varies strings and numbers. References go to `$defs`. */
export function valueFor(schema: unknown, chance = 0, root: unknown = schema, depth = 0): unknown {
  if (!isSchema(schema) || depth > 32) return {}
  if ('const' in schema) return schema['const']
  if (Array.isArray(schema['enum']) && schema['enum'].length > 0)
    return schema['enum'][chance % schema['enum'].length]
  if (typeof schema['$ref'] === 'string')
    return valueFor(resolve(root, schema['$ref']), chance, root, depth + 1)
  const options = schema['anyOf'] ?? schema['oneOf']
  if (Array.isArray(options) && options.length > 0) {
    return valueFor({ ...schema, anyOf: undefined, oneOf: undefined, ...options[0] }, chance, root, depth + 1)
  }
  if (Array.isArray(schema['allOf'])) return valueFor(merged(schema, root), chance, root, depth + 1)
  return valueOfType(schema, chance, (part, index) => valueFor(part, chance + index + 1, root, depth + 1))
}

function valueOfType(
  schema: Schema,
  chance: number,
  inner: (part: unknown, index: number) => unknown,
): unknown {
  const type = Array.isArray(schema['type']) ? schema['type'][0] : schema['type']
  if (
    type === 'object' ||
    (type === undefined && (schema['properties'] || Object.keys(schema).length === 0))
  ) {
    return objectFor(schema, inner)
  }
  if (type === 'array') {
    const fixed = Array.isArray(schema['prefixItems']) ? schema['prefixItems'] : []
    const length = Math.max(Math.min(MOST, numberOf(schema['minItems'], 1)), fixed.length)
    const count = Math.min(length, numberOf(schema['maxItems'], length))
    return Array.from({ length: count }, (_, i) =>
      inner(fixed[i] ?? schema['items'] ?? { type: 'string' }, i),
    )
  }
  if (type === 'integer' || type === 'number') return numberFor(schema, chance)
  if (type === 'boolean') return chance % 2 === 0
  if (type === 'null') return null
  return stringFor(schema, chance)
}

function objectFor(
  schema: Schema,
  inner: (part: unknown, index: number) => unknown,
): Record<string, unknown> {
  const properties = isSchema(schema['properties']) ? schema['properties'] : {}
  const value: Record<string, unknown> = {}
  for (const [index, [name, part]] of Object.entries(properties).entries()) value[name] = inner(part, index)
  for (const name of Array.isArray(schema['required']) ? schema['required'] : [])
    value[String(name)] ??= 'value'
  return value
}

function numberFor(schema: Schema, chance: number): number {
  const step = numberOf(schema['multipleOf'], 1)
  const above = numberOf(schema['minimum'], numberOf(schema['exclusiveMinimum'], -1) + step)
  const low = Math.ceil(above / step) * step
  const high = numberOf(schema['maximum'], numberOf(schema['exclusiveMaximum'], low + 11) - step)
  if (high < low) return schema['type'] === 'number' ? (above + high) / 2 : low
  return low + step * (chance % (Math.floor((high - low) / step) + 1))
}

const FORMATS: Readonly<Record<string, string>> = {
  date: '2026-01-02',
  time: '03:04:05Z',
  'date-time': '2026-01-02T03:04:05Z',
  email: 'someone@example.com',
  uri: 'https://example.com/',
  uuid: '123e4567-e89b-42d3-a456-426614174000',
  ipv4: '192.0.2.1',
}

function stringFor(schema: Schema, chance: number): string {
  const known = FORMATS[String(schema['format'])]
  if (known) return known
  const word = ['red', 'warm', 'north', 'seven', 'river'][chance % 5] as string
  return word
    .padEnd(Math.min(MOST, numberOf(schema['minLength'], 0)), 'x')
    .slice(0, numberOf(schema['maxLength'], Infinity))
}

function merged(schema: Schema, root: unknown): Schema {
  let whole: Schema = { ...schema, allOf: undefined }
  for (const part of schema['allOf'] as unknown[]) {
    const known = isSchema(part) && typeof part['$ref'] === 'string' ? resolve(root, part['$ref']) : part
    if (!isSchema(known)) continue
    const properties = {
      ...(whole['properties'] as object | undefined),
      ...(known['properties'] as object | undefined),
    }
    whole = { ...whole, ...known, properties }
  }
  return whole
}

function resolve(root: unknown, reference: string): unknown {
  let at: unknown = root
  for (const step of reference.replace(/^#\/?/, '').split('/')) at = isSchema(at) ? at[step] : undefined
  return at
}

const isSchema = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const numberOf = (value: unknown, otherwise: number) => (typeof value === 'number' ? value : otherwise)

// Makes JSON texts as odd as JSON allows: escapes, surrogates, duplicate keys, blanks, numbers of every form.
import fc from 'fast-check'

const encoder = new TextEncoder()

export function encode(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text)
}

export function decode(parts: readonly Uint8Array[]): string {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  return parts.map((part) => decoder.decode(part, { stream: true })).join('') + decoder.decode()
}

const blank = fc.constantFrom('', '', '', ' ', '\n', '\t\r ')

/** One character of a string as it may be spelled in JSON. */
const spelled = fc
  .tuple(fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }), fc.boolean())
  .map(([char, escape]) => {
    if (!escape) return JSON.stringify(char).slice(1, -1)
    return Array.from(
      { length: char.length },
      (_, i) => `\\u${char.charCodeAt(i).toString(16).padStart(4, '0')}`,
    ).join('')
  })
const bit = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      'a',
      'model',
      ' ',
      '[',
      ']',
      '{',
      '}',
      ',',
      ':',
      '\\"',
      '\\\\',
      '\\/',
      '\\n',
      '\\ud800',
      'x'.repeat(40),
      '好',
    ),
  },
  { weight: 1, arbitrary: spelled },
)
export const rawString = fc.array(bit, { maxLength: 6 }).map((bits) => `"${bits.join('')}"`)
const plainKey = fc.constantFrom('"model"', '"stream"', '"a"', '"stream_options"', '""', '"__proto__x"')
const rawKey = fc.oneof(plainKey, fc.constantFrom('"mod\\u0065l"', '"\\u0061"'), rawString)
const rawNumber = fc.oneof(
  fc.constantFrom('0', '-0', '1e5', '1E+05', '-1.5e-3', '9223372036854775807', '1e400'),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
)
const rawScalar = fc.oneof(rawString, rawNumber, fc.constantFrom('true', 'false', 'null'))

const { value: rawValue } = fc.letrec<{ value: string; array: string; object: string }>((tie) => ({
  value: fc.oneof({ maxDepth: 4, depthSize: 'small' }, rawScalar, tie('array'), tie('object')),
  array: fc
    .tuple(fc.array(tie('value'), { maxLength: 4 }), blank)
    .map(([items, space]) => `[${space}${items.join(`${space},`)}${space}]`),
  object: objectOf(rawKey, tie('value')),
}))

function objectOf(key: fc.Arbitrary<string>, value: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const member = fc
    .tuple(blank, key, blank, blank, value, blank)
    .map(([a, name, b, c, text, d]) => `${a}${name}${b}:${c}${text}${d}`)
  return fc
    .tuple(blank, fc.array(member, { maxLength: 6 }))
    .map(([space, members]) => `{${space}${members.join(',')}}`)
}

export { rawValue }
/** The text of a JSON object, blanks around it included. */
export const rawObject = fc.tuple(blank, objectOf(rawKey, rawValue), blank).map((parts) => parts.join(''))

/**
 * Top-level keys of valid JSON and the text of their values, the last of equal keys counting. JSON.parse is not the judge of
 * that: in V8 13.6 it mixes up keys that are escaped and equal to an earlier one, depending on what it parsed before.
 */
export function membersOf(text: string): Map<string, string> {
  const members = new Map<string, string>()
  const token = /"(?:[^"\\]|\\.)*"|[[\]{}:,]|[^\s"[\]{}:,]+/gs
  let depth = 0
  let key: string | null = null
  let start = -1
  let end = -1
  for (const { 0: part, index } of text.matchAll(token)) {
    const isClosing = part === ']' || part === '}'
    if (isClosing) depth--
    if (depth === 0 || (depth === 1 && part === ',')) {
      if (key !== null) members.set(key, text.slice(start, end))
      key = null
      start = -1
    } else if (key === null) key = JSON.parse(part) as string
    else if (start < 0 && part !== ':') start = index
    end = index + part.length
    if (part === '[' || part === '{') depth++
  }
  return members
}

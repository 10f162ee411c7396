// What a value must look like: a few kinds of forms that read a value, fill in defaults, and tell all that is wrong with it.
// Used as `import * as z`, for the names are those that zod gives to them.
import { Form, isFatal, type Definition, type Finding, type Input, type Output } from './form-core.ts'

export { Form, FormError, type Definition, type Finding, type Input, type Output } from './form-core.ts'

type Shape = Readonly<Record<string, Form>>
type OptionalKeys<S extends Shape, Side extends '_out' | '_in'> = {
  [K in keyof S]: undefined extends S[K][Side] ? K : never
}[keyof S]
type ObjectOf<S extends Shape, Side extends '_out' | '_in'> = {
  [K in Exclude<keyof S, OptionalKeys<S, Side>>]: S[K][Side]
} & { [K in OptionalKeys<S, Side>]?: S[K][Side] }
type Plain<T> = { [K in keyof T]: T[K] }

/** What a transformation is given to tell its findings by. */
export interface Telling {
  readonly issues: Finding[]
}

/** What a transformation returns that has told a finding. */
export const NEVER = undefined as never

const make = <Out, In = Out>(definition: Definition, read: Form['read']): Form<Out, In> =>
  new Form<Out, In>(definition, read)

const wrong = (expected: string): Finding => ({
  code: 'invalid_type',
  expected,
  path: [],
  message: `expected ${expected}`,
})

function basic<T>(definition: Definition, isIt: (value: unknown) => boolean): Form<T, T> {
  return make<T>(definition, (value, found) => {
    if (!isIt(value)) found.push(wrong(definition.type))
    return value
  })
}

const STRING = basic<string>({ type: 'string' }, (value) => typeof value === 'string')
const BOOLEAN = basic<boolean>({ type: 'boolean' }, (value) => typeof value === 'boolean')
const NUMBER = basic<number>({ type: 'number' }, Number.isFinite)

// A form never changes, so that one of a kind is enough.
export const string = (): Form<string, string> => STRING
export const boolean = (): Form<boolean, boolean> => BOOLEAN
export const number = (): Form<number, number> => NUMBER
export const unknown = (): Form<unknown, unknown> => make({ type: 'unknown' }, (value) => value)

/** A whole number that a double holds exactly. */
export const int = (): Form<number, number> =>
  make({ type: 'int' }, (value, found) => {
    if (!Number.isFinite(value)) found.push(wrong('number'))
    else if (!Number.isInteger(value)) found.push(wrong('int'))
    else if (Math.abs(value as number) > Number.MAX_SAFE_INTEGER)
      bound(Math.sign(value as number) * Number.MAX_SAFE_INTEGER, (value as number) > 0)(value, found)
    return value
  })

function oneOf<T extends string>(definition: Definition, values: readonly T[]): Form<T, T> {
  return make<T>(definition, (value, found) => {
    if (!values.some((one) => one === value))
      found.push({ code: 'invalid_value', values, path: [], message: `expected one of ${values.join(', ')}` })
    return value
  })
}

const enumOf = <const T extends string>(values: readonly T[]): Form<T, T> =>
  oneOf({ type: 'enum', values }, values)
export { enumOf as enum }
export const literal = <const T extends string>(value: T): Form<T, T> =>
  oneOf({ type: 'literal', value }, [value])

/** A list, each item of which is read by `item`. */
export function array<T extends Form>(item: T): Form<Output<T>[], Input<T>[]> {
  return make({ type: 'array', item }, (value, found) => {
    if (!Array.isArray(value)) return void found.push(wrong('array'))
    return value.map((one, at) => item.readAt(at, one, found))
  })
}

/** A map of any names that `key` takes, each value of which is read by `item`. */
export function record<K extends Form<string>, T extends Form>(
  key: K,
  item: T,
): Form<Record<string, Output<T>>, Record<string, Input<T>>> {
  return make({ type: 'record', key, item }, (value, found) => {
    if (!isMap(value)) return void found.push(wrong('record'))
    const read: Record<string, unknown> = {}
    for (const name of Object.keys(value)) {
      const issues: Finding[] = []
      key.read(name, issues)
      const message = issues[0]?.message
      if (message !== undefined) found.push({ code: 'invalid_key', path: [name], message })
      else define(read, name, item.readAt(name, value[name], found))
    }
    return read
  })
}

/** An object that has those keys alone. What may be absent and is absent, is absent in what comes out. */
export function strictObject<S extends Shape>(
  shape: S,
): Form<Plain<ObjectOf<S, '_out'>>, Plain<ObjectOf<S, '_in'>>> & { readonly shape: S } {
  const form = make({ type: 'object', shape }, (value, found) => {
    if (!isMap(value)) return void found.push(wrong('object'))
    const read: Record<string, unknown> = {}
    for (const [name, inner] of Object.entries(shape)) {
      const isGiven = Object.hasOwn(value, name)
      const one = inner.readAt(name, isGiven ? value[name] : undefined, found)
      if (isGiven || one !== undefined) read[name] = one
    }
    const keys = Object.keys(value).filter((name) => !Object.hasOwn(shape, name))
    if (keys.length > 0)
      found.push({ code: 'unrecognized_keys', keys, path: [], message: `unknown key ${keys.join(', ')}` })
    // V8 makes a hash table of what grew by a dozen names, each look at which is a call: of its copy it does not.
    return { ...read }
  })
  return Object.assign(form, { shape }) as never
}

export const optional = <T extends Form>(inner: T): Form<Output<T> | undefined, Input<T> | undefined> =>
  make({ type: 'optional', inner }, (value, found) =>
    value === undefined ? undefined : inner.read(value, found),
  )

export const nullable = <T extends Form>(inner: T): Form<Output<T> | null, Input<T> | null> =>
  make({ type: 'nullable', inner }, (value, found) => (value === null ? null : inner.read(value, found)))

/** Stands for what is absent; read as if it had been written. */
export const prefault = <T extends Form>(
  inner: T,
  initial: Input<T>,
): Form<Output<T>, Input<T> | undefined> =>
  make({ type: 'prefault', inner, initial }, (value, found) =>
    inner.read(value === undefined ? structuredClone(initial) : value, found),
  )

/** The first of the forms that takes the value; where only one takes its outer form, what that finds is told. */
export function union<T extends readonly Form[]>(forms: T): Form<Output<T[number]>, Input<T[number]>> {
  return make({ type: 'union', forms }, (value, found) => {
    const errors: Finding[][] = []
    let meant: { read: unknown; issues: Finding[] }[] = []
    for (const form of forms) {
      const issues: Finding[] = []
      const read = form.read(value, issues)
      if (issues.length === 0) return read
      errors.push(issues)
      if (!issues.some(isFatal)) meant = [...meant, { read, issues }]
    }
    const [only] = meant
    if (only === undefined || meant.length > 1)
      return void found.push({ code: 'invalid_union', errors, path: [], message: 'none of its forms fits' })
    found.push(...only.issues)
    return only.read
  })
}

/** Reads by the first form, and what comes out of it, if nothing is wrong with it, by the second. */
export const pipe = <Mid, In, Out>(first: Form<Mid, In>, then: Form<Out, Mid>): Form<Out, In> =>
  make({ type: 'pipe', first }, (value, found) => {
    const before = found.length
    const read = first.read(value, found)
    return found.length > before ? read : then.read(read, found)
  })

/** Any value; what comes of it is told by a function. */
export const transform = <In, Out>(change: (value: In, telling: Telling) => Out): Form<Out, In> =>
  make({ type: 'unknown' }, (value, issues) => change(value as In, { issues }))

type Check = { readonly limits: Definition['limits']; run(value: unknown, found: Finding[]): void }

const bound =
  (limit: number, isMost: boolean, isInclusive = true) =>
  (value: unknown, found: Finding[]): void => {
    const over = isMost ? (value as number) - limit : limit - (value as number)
    if (over < 0 || (isInclusive && over === 0)) return
    const [code, side] = isMost ? (['too_big', 'most'] as const) : (['too_small', 'least'] as const)
    found.push({ code, limit, isInclusive, path: [], message: `must be at ${side} ${limit}`, isSoft: true })
  }

export const minimum = (least: number): Check => ({ limits: { minimum: least }, run: bound(least, false) })
export const maximum = (most: number): Check => ({ limits: { maximum: most }, run: bound(most, true) })
export const positive = (): Check => ({ limits: { exclusiveMinimum: 0 }, run: bound(0, false, false) })

export const minLength = (least: number): Check => ({
  limits: { minLength: least },
  run(value, found) {
    if ((value as string).length < least)
      found.push({ code: 'too_short', path: [], message: 'must not be empty', isSoft: true })
  },
})

export const regex = (pattern: RegExp, message: string): Check => ({
  ...refine((value) => pattern.test(value as string), message),
  limits: { pattern: pattern.source },
})

/** `isGood` is asked for values that have the form. */
export const refine = <T>(isGood: (value: T) => boolean, message: string): Check => ({
  limits: {},
  run(value, found) {
    if (!isGood(value as T)) found.push({ code: 'custom', path: [], message, isSoft: true })
  },
})

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A key may be called `__proto__`. */
const define = (to: object, name: string, value: unknown) =>
  Object.defineProperty(to, name, { value, enumerable: true, writable: true, configurable: true })

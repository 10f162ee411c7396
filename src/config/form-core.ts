// The form of a value: how it is read, and the definition that help and editors are made from.

export type Path = readonly PropertyKey[]

/** One thing that is wrong with a value; the path leads to it from where the reading began. */
export type Finding = {
  readonly path: Path
  readonly message: string
  /** The value has the kind that is asked for, but is none of those that are good. */
  readonly isSoft?: boolean
} & (
  | { readonly code: 'invalid_type'; readonly expected: string }
  | { readonly code: 'invalid_value'; readonly values: readonly string[] }
  | { readonly code: 'unrecognized_keys'; readonly keys: readonly string[] }
  | { readonly code: 'invalid_union'; readonly errors: readonly (readonly Finding[])[] }
  | { readonly code: 'too_small' | 'too_big'; readonly limit: number; readonly isInclusive: boolean }
  | { readonly code: 'too_short' | 'invalid_key' | 'custom' }
)

/** What a form is, as data. */
export type Definition = { readonly limits?: Readonly<Record<string, unknown>> } & (
  | { readonly type: 'string' | 'boolean' | 'number' | 'int' | 'unknown' }
  | { readonly type: 'enum'; readonly values: readonly string[] }
  | { readonly type: 'literal'; readonly value: string }
  | { readonly type: 'array'; readonly item: Form }
  | { readonly type: 'record'; readonly key: Form; readonly item: Form }
  | { readonly type: 'object'; readonly shape: Readonly<Record<string, Form>> }
  | { readonly type: 'optional' | 'nullable'; readonly inner: Form }
  | { readonly type: 'prefault'; readonly inner: Form; readonly initial: unknown }
  | { readonly type: 'union'; readonly forms: readonly Form[] }
  | { readonly type: 'pipe'; readonly first: Form }
)

export type Output<T extends Form> = T['_out']
export type Input<T extends Form> = T['_in']

export type Parsed<Out> =
  | { readonly success: true; readonly data: Out; readonly error?: never }
  | { readonly success: false; readonly data?: never; readonly error: FormError }

/** Thrown by `parse`. */
export class FormError extends Error {
  readonly issues: readonly Finding[]
  constructor(issues: readonly Finding[]) {
    super(
      issues.map(({ path, message }) => `${path.map(String).join('.') || 'value'}: ${message}`).join('; '),
    )
    this.name = 'FormError'
    this.issues = issues
  }
}

export class Form<out Out = unknown, out In = unknown> {
  declare readonly _out: Out
  declare readonly _in: In
  readonly definition: Definition
  /** Returns what the value is read as; what is wrong is added to `found`, and what is returned then means nothing. */
  readonly read: (value: unknown, found: Finding[]) => unknown
  /** What a text or a number of this form counts. */
  readonly unit?: 'duration' | 'size'

  constructor(definition: Definition, read: (value: unknown, found: Finding[]) => unknown) {
    this.definition = definition
    this.read = read
  }

  /** The same form, of which it is known what it counts. */
  in(unit: 'duration' | 'size'): this {
    return like(this, { unit })
  }

  /** The same form with further demands on values that have it. */
  check(
    ...checks: readonly {
      readonly limits: Definition['limits']
      run(value: unknown, found: Finding[]): void
    }[]
  ): this {
    const limits = Object.assign({}, this.definition.limits, ...checks.map((one) => one.limits)) as object
    const read = (value: unknown, found: Finding[]) => {
      const issues: Finding[] = []
      const one = this.read(value, issues)
      if (!issues.some(isFatal)) for (const { run } of checks) run(one, issues)
      found.push(...issues)
      return one
    }
    return like(this, { definition: { ...this.definition, limits }, read })
  }

  /** Reads a part of a larger value. */
  readAt(part: PropertyKey, value: unknown, found: Finding[]): unknown {
    const before = found.length
    const one = this.read(value, found)
    for (let at = before; at < found.length; at++)
      found[at] = { ...found[at]!, path: [part, ...found[at]!.path] }
    return one
  }

  safeParse(value: unknown): Parsed<Out> {
    const issues: Finding[] = []
    const data = this.read(value, issues) as Out
    return issues.length === 0 ? { success: true, data } : { success: false, error: new FormError(issues) }
  }

  /** Throws a `FormError`. */
  parse(value: unknown): Out {
    const { data, error } = this.safeParse(value)
    if (error) throw error
    return data as Out
  }
}

export const isFatal = ({ isSoft }: Finding): boolean => isSoft !== true

/** By its prototype: what is added to an object's form (its shape) stays. */
const like = <T extends Form>(form: T, changes: object): T =>
  Object.assign(Object.create(Object.getPrototypeOf(form) as object), form, changes) as T

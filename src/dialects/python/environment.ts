// Reads variables of a program's environment with the words of pydantic for what is wrong with them.
import type { Environment } from '../../config/environment.ts'

/** Variables by name, whatever case they are written in; collects what is wrong. An empty one counts as none. */
export class Variables {
  readonly problems: string[] = []
  readonly #values = new Map<string, string>()

  constructor(environment: Environment) {
    for (const [name, value] of Object.entries(environment)) {
      const key = name.toUpperCase()
      // The exact spelling beats others.
      if (value === undefined || value === '' || (this.#values.has(key) && name !== key)) continue
      this.#values.set(key, value)
    }
  }

  has(name: string): boolean {
    return this.#values.has(name)
  }

  text(name: string): string | undefined {
    return this.#values.get(name)
  }

  /** A number of at least `least`; undefined when there is none, or it is wrong. */
  number(name: string, { least = 0, isWhole = false } = {}): number | undefined {
    const text = this.#values.get(name)?.trim()
    if (text === undefined) return undefined
    const number = Number(text)
    const kind = isWhole ? 'integer' : 'number'
    if (text === '' || Number.isNaN(number) || (isWhole && !Number.isInteger(number)))
      this.problems.push(
        `${name}: Input should be a valid ${kind}, unable to parse string as ${isWhole ? 'an' : 'a'} ${kind}`,
      )
    else if (number < least) this.problems.push(`${name}: Input should be greater than or equal to ${least}`)
    else return number
    return undefined
  }

  choice<const C extends readonly string[]>(name: string, choices: C): C[number] | undefined {
    const text = this.#values.get(name)
    if (text === undefined || choices.includes(text)) return text
    this.problems.push(`${name}: Input should be ${choices.map((one) => `'${one}'`).join(' or ')}`)
    return undefined
  }

  /** A list: JSON, or texts with commas between. */
  list(name: string): string[] | undefined {
    const text = this.#values.get(name)?.trim()
    if (text === undefined) return undefined
    if (!text.startsWith('['))
      return text
        .split(',')
        .map((one) => one.trim())
        .filter((one) => one !== '')
    try {
      const parsed: unknown = JSON.parse(text)
      if (Array.isArray(parsed) && parsed.every((one) => typeof one === 'string')) return parsed
    } catch {
      // Told below, like a list of something else.
    }
    this.problems.push(`${name}: Input should be a valid list of texts, as JSON or with commas between`)
    return undefined
  }
}

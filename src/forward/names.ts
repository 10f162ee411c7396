// Header names, compared without case and mostly without work: most that differ differ in length or in their first letter.

/** Whether both are the same name. */
export function isNamed(name: string, other: string): boolean {
  if (name.length !== other.length) return false
  if (name === other) return true
  return mayBegin(name, other) && name.toLowerCase() === other.toLowerCase()
}

/** Whether the first characters may be one letter. (The bit 32 tells small letters from capitals.) */
const mayBegin = (name: string, other: string): boolean =>
  (name.charCodeAt(0) | 32) === (other.charCodeAt(0) | 32)

/**
 * A few names in lower case. A Set would make a hash of each name that is looked up, and no two requests share their strings: 1.3 in
 * place of 0.9 µs for a head of fifteen lines.
 */
export class NameList {
  readonly #byLength: (readonly string[] | undefined)[] = []

  constructor(names: readonly string[]) {
    for (const name of names) this.#byLength[name.length] = [...(this.#byLength[name.length] ?? []), name]
  }

  /** `name`: in lower case. */
  has(name: string): boolean {
    const names = this.#byLength[name.length]
    if (names === undefined) return false
    for (let i = 0; i < names.length; i++) if (names[i] === name) return true
    return false
  }
}

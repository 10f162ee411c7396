// The loops over long bodies in machine code, where the runtime compiles WebAssembly. What they do is done elsewhere, too: they
// are left out where a runtime can't have them.
import type { ByteText } from '../openai/words.ts'
import type { Stripes } from '../prefix/stripes.ts'
import type { Strings } from '../prefix/strings.ts'

/** Positions count bytes of the text that was loaded last. */
export interface Kernel extends Strings, Stripes {
  /** Takes the text from `from` on, unless it has that already. What it had before can't be reached any more. */
  load(text: ByteText, from: number): void
  /** From an opening bracket or brace to behind the one that closes it; 0: none does, or the nesting is broken. */
  skip(at: number, end: number): number
  /**
   * Finds the members of an object from behind its opening brace on: four positions of each are added to `marks`, where its key (without
   * quotes) and its value begin and end. Behind its closing brace; 0: the object has to be read otherwise, be it for an escape in a key.
   * Numbers and words are found, not checked.
   */
  scan(at: number, end: number, marks: number[]): number
  /** A bit for each member that was found last: a list or object in which prompts are not cut, for it has neither cache marks nor media. */
  plain: number
  /** Position of the next `"`, `\` or control character at or after `at`, or `end`. */
  stop(at: number, end: number): number
}

/** Bytes from which on loading pays: 1 KB is skipped, walked and hashed in 0.6 µs in place of 2. */
const LEAST = 512
/** Larger ones are mostly pictures, and the kernel's memory never shrinks. */
export const MOST = 1_048_576

let installed: Kernel | null = null

/** Lets all that read bodies in this thread use a kernel; null: none. The results are the same. */
export function useKernel(kernel: Kernel | null): void {
  installed = kernel
}

/** The kernel with a text loaded from `from` on; null where there is none, or it would not pay. */
export function kernelFor(text: ByteText, from: number): Kernel | null {
  const size = text.end - from
  if (installed === null || size < LEAST || size > MOST) return null
  installed.load(text, from)
  return installed
}

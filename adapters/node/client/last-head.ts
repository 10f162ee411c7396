// Knows a head that comes again on its connection, as those of most clients do: what was read of it need not be read again.
import { isNamed } from '../../../src/forward/names.ts'
import type { HeaderList } from '../../../src/host.ts'
import type { HeadMemory } from '../../../src/openai/head.ts'

export class LastHead {
  #headers: HeaderList = []
  #memory: HeadMemory = {}

  /** What is kept with a head: with the last one where it is the same but for the length of its body, else with none yet. */
  memoryOf(headers: HeaderList): HeadMemory {
    if (!isSame(headers, this.#headers)) {
      this.#headers = headers
      this.#memory = {}
    }
    return this.#memory
  }
}

/** To the letter, spelling of names included. */
function isSame(one: HeaderList, other: HeaderList): boolean {
  if (one === other) return true
  if (one.length !== other.length) return false
  for (let i = 0; i < one.length; i += 2) {
    if (one[i] !== other[i]) return false
    if (one[i + 1] !== other[i + 1] && !isNamed(one[i]!, 'content-length')) return false
  }
  return true
}

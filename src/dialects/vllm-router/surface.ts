// The vLLM router's endpoints, as they answer.
import type { Surface } from '../dialect.ts'

/** Its surface by the options of its translation. */
export function surface(_options: Readonly<Record<string, unknown>>): Surface {
  return {}
}

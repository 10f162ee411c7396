// Answers of a call that may hand its KV over: it is given when it is computed, and before the answer is told.
import type { Exchange } from './exchange.ts'
import { generateWhole, type Generation, type Part } from './generation.ts'
import type { Handover } from './handover.ts'
import { streamAnswer, type Script } from './sse.ts'

interface Handed {
  readonly parts: readonly Part[]
  readonly handover: Handover
}

/** The whole answer. Rejects when the KV was not taken where that is waited for. */
export async function generateHanded(exchange: Exchange, { parts, handover }: Handed): Promise<Generation> {
  const generation = await generateWhole(exchange, parts)
  const giving = handover.give(parts)
  if (giving) await giving
  return generation
}

/** The streamed answer. A prefill engine computes first, and its one token is told afterwards. */
export function streamHanded(
  exchange: Exchange,
  handed: Handed,
  script: Script,
): Response | Promise<Response> {
  const answer = (told: Script) => streamAnswer(exchange, handed.parts, told)
  if (handed.handover.cap !== 1) return answer(script)
  return generateHanded(exchange, handed).then((first) =>
    // What is told is what was computed, not that it is cached by now.
    answer({
      ...script,
      token: (_, part, index) => script.token(first, part, index),
      closing: () => script.closing(first),
    }),
  )
}

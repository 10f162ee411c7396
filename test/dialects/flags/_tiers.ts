// Flags of kv_aware about blocks of KV caches, by where the next call goes when an engine told of its blocks.
import { callsOf, headerOf, W1, W2 } from '../../journeys/_rig.ts'
import type { Rigged } from '../_rig.ts'
import { counts, saying, TWO, type Row, type Speaker } from './_flag.ts'
import { text } from './_policies.ts'

/** Characters of the prompt, and of a block: what the simulated engines take for a token is four. */
const PROMPT = 4096
const TOKENS = 32
const HASHES = Array.from({ length: PROMPT / 4 / TOKENS }, (_, index) => index + 1)

interface Pushing {
  readonly router: Rigged
  push(...events: readonly object[]): Promise<void>
}

const stored = (more: object) => ({
  type: 'BlockStored',
  block_hashes: HASHES,
  parent_block_hash: null,
  ...more,
})

/**
 * A prompt is computed by one of two workers, which tells of its blocks (`size`: of how many tokens); then what `after` says. Whether
 * the same prompt goes there again.
 */
async function again(
  line: string,
  { open, engine }: Speaker,
  { size, after }: { readonly size: object; after(pushing: Pushing): Promise<void> },
): Promise<'same' | 'other'> {
  const engines = [engine(), engine()] as const
  const sources = [W1, W2].map((url) => `--kv-event-source ${url}=push`).join(' ')
  const router = await open(`${TWO} --policy kv_aware ${sources} ${line}`, {
    [W1]: engines[0],
    [W2]: engines[1],
  })
  const { data } = (await router.ask('/fetchway/v1/workers')).json as { data: { id: string; url: string }[] }
  const send = (headers: Record<string, string> = {}) =>
    router.ask('/v1/chat/completions', {
      body: { model: 'm', max_tokens: 1, ...saying(text(PROMPT, 1)) },
      headers,
    })
  // Who publishes is known from the first batch on.
  for (const { id } of data)
    await router.ask(`/fetchway/v1/workers/${id}/kv-events`, {
      body: { events: [{ type: 'BlockRemoved', block_hashes: [999] }] },
    })
  const first = send({ 'x-fault': 'delay=150ms' })
  while (counts(...engines).every((count) => count === 0))
    await new Promise((resolve) => setImmediate(resolve))
  const at = counts(...engines).indexOf(1)
  const holder = data.find(({ url }) => url === [W1, W2][at])?.id ?? ''
  const push = async (...events: readonly object[]): Promise<void> => {
    const { status, text: told } = await router.ask(`/fetchway/v1/workers/${holder}/kv-events`, {
      body: { events },
    })
    if (status !== 200) throw new Error(told)
  }
  const [call] = callsOf(engines[at as 0 | 1])
  const session =
    headerOf(call, 'x-session-id') ?? (JSON.parse(call?.body ?? '{}') as { session_id?: string }).session_id
  await push(stored({ session_id: session, ...size }))
  await first
  await after({ router, push })
  await send()
  return counts(...engines)[at] === 2 ? 'same' : 'other'
}

/** The blocks leave the GPU for somewhere else. */
const moved =
  (medium: string) =>
  async ({ push }: Pushing): Promise<void> => {
    await push(stored({ block_size: TOKENS, medium }))
    await push({ type: 'BlockRemoved', block_hashes: HASHES, medium: 'GPU' })
  }

const tier = (flag: string, medium: string): Row => ({
  flag,
  of: 'vllm',
  cases: [
    [`${flag} 0`, 'other'],
    [`${flag} 0.9`, 'same'],
  ],
  see: (line, speaker) => again(line, speaker, { size: { block_size: TOKENS }, after: moved(medium) }),
})

export const tiers: readonly Row[] = [
  tier('--kv-penalty-host', 'CPU'),
  tier('--kv-penalty-external', 'LMCACHE'),
  tier('--kv-penalty-disk', 'DISK'),
  {
    flag: '--kv-event-block-size',
    of: 'vllm',
    cases: [
      [`--kv-event-block-size ${TOKENS}`, 'other'],
      [`--kv-event-block-size ${TOKENS * 1000}`, 'same'],
    ],
    // Events that tell no length of their blocks: with a wrong one they are not known to be of that prompt, nor is their end.
    see: (line, speaker) =>
      again(line, speaker, {
        size: {},
        after: ({ push }) => push({ type: 'BlockRemoved', block_hashes: HASHES, medium: 'GPU' }),
      }),
  },
]

// Reads what engines answer: JSON that may be anything, and the list of models.
import type { ModelFacts, WorkerReply } from './engine.ts'

/** The JSON object of a 200 answer; null for everything else. */
export function objectOf(reply: WorkerReply | null): Record<string, unknown> | null {
  const value = jsonOf(reply)
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null
}

/** The JSON of a 200 answer; null when there is none. */
export function jsonOf(reply: WorkerReply | null): unknown {
  if (reply?.status !== 200) return null
  try {
    return JSON.parse(reply.text) as unknown
  } catch {
    return null // a proxy's HTML page, or an engine that is not up yet
  }
}

/** A positive finite number, else undefined. */
export function positive(value: unknown): number | undefined {
  return typeof value === 'number' && value > 0 && Number.isFinite(value) ? value : undefined
}

/** A finite number of at least 0, else 0. */
export function amount(value: unknown): number {
  return typeof value === 'number' && value >= 0 && Number.isFinite(value) ? value : 0
}

export interface ModelCard extends ModelFacts {
  readonly ownedBy: string
}

/** The cards of GET /v1/models; null when the answer is no model list. */
export function cardsOf(reply: WorkerReply | null): ModelCard[] | null {
  const data = objectOf(reply)?.['data']
  if (!Array.isArray(data)) return null
  const cards = new Map<string, ModelCard>()
  for (const entry of data as unknown[]) {
    const card = cardOf(entry)
    if (card && !cards.has(card.id)) cards.set(card.id, card)
  }
  return [...cards.values()]
}

function cardOf(entry: unknown): ModelCard | null {
  if (typeof entry !== 'object' || entry === null) return null
  const { id, root, parent, owned_by, max_model_len } = entry as Record<string, unknown>
  if (typeof id !== 'string' || id === '') return null
  const maxModelLength = positive(max_model_len)
  return {
    id,
    ownedBy: typeof owned_by === 'string' ? owned_by.toLowerCase() : '',
    ...(typeof root === 'string' && root !== '' && { root }),
    ...(typeof parent === 'string' && parent !== '' && { parent }),
    ...(maxModelLength !== undefined && { maxModelLength }),
  }
}

// The prefill leg's body: the same prompt, one token, no stream.
import type { Shape } from '../../openai/shapes.ts'
import type { TopLevel } from '../../openai/scan.ts'
import type { Edit } from '../../openai/spans.ts'

const set = (key: string, value: string): Edit => ({ kind: 'set', key, value })
const ONE_TOKEN: Partial<Record<Shape, string>> = { responses: 'max_output_tokens' }

/**
 * Edits that make a call compute its prompt and one token. Without `min_tokens` a first token that ends the text would end the
 * call as stopped, and vLLM hands over only what it cut for length; where `keepsMin` is false (a shared store) it is taken out.
 */
export function oneToken(shape: Shape, top: TopLevel, keepsMin = true): Edit[] {
  if (shape === 'other') return ofSampling(top, keepsMin)
  const edits: Edit[] = [set(ONE_TOKEN[shape] ?? 'max_tokens', '1'), set('stream', 'false')]
  edits.push({ kind: 'delete', key: 'stream_options' })
  if (shape === 'responses') edits.push(set('store', 'false'))
  if (shape !== 'chat' && shape !== 'completions') return edits
  if (!keepsMin)
    edits.push({ kind: 'delete', key: 'max_completion_tokens' }, { kind: 'delete', key: 'min_tokens' })
  else {
    if (top.has('max_completion_tokens')) edits.push(set('max_completion_tokens', '1'))
    edits.push(set('min_tokens', '1'))
  }
  return edits
}

/** Where tokens go in, their number stands among the sampling parameters. */
function ofSampling(top: TopLevel, keepsMin: boolean): Edit[] {
  const given = top.kind('sampling_params') === 'object' ? (top.json('sampling_params') as object) : {}
  const { min_tokens: _min, ...others } = given as { min_tokens?: unknown }
  const cut = { ...others, max_tokens: 1, ...(keepsMin && { min_tokens: 1 }) }
  return [
    set('sampling_params', JSON.stringify(cut)),
    set('stream', 'false'),
    { kind: 'delete', key: 'stream_options' },
  ]
}

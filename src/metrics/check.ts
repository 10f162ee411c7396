// What Prometheus would not accept of a definition: a bug, which tests find, so that no start looks for it.
import type { Definition } from './prometheus.ts'

const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const LABEL_NAME = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/
/** `Family.with` names its parameters. */
const MOST_LABELS = 4

/** @throws Error that says what is wrong */
export function checkDefinition({ type, name, labels, bounds }: Definition): void {
  if (!METRIC_NAME.test(name)) throw new Error(`${name} is no metric name`)
  if ((type === 'counter') !== name.endsWith('_total'))
    throw new Error(`${name}: counters, and they alone, end in _total`)
  for (const label of labels)
    if (!LABEL_NAME.test(label)) throw new Error(`${name}: ${label} is no label name`)
  if (new Set(labels).size !== labels.length) throw new Error(`${name}: a label is named twice`)
  if (labels.length > MOST_LABELS) throw new Error(`${name}: at most ${MOST_LABELS} labels`)
  if (type === 'histogram') checkBuckets(name, labels, bounds)
}

function checkBuckets(name: string, labels: readonly string[], buckets: Float64Array): void {
  if (labels.includes('le')) throw new Error(`${name}: the label le belongs to the buckets`)
  for (const [index, bound] of buckets.entries()) {
    const ascends = index === 0 || bound > (buckets[index - 1] as number)
    if (!Number.isFinite(bound) || !ascends) throw new Error(`${name}: buckets must ascend and be finite`)
  }
}

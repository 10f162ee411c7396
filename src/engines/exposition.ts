// Finds a few samples in an engine's large /metrics text without parsing the rest of it.
import type { EngineLoad } from './engine.ts'

export interface Sample {
  /** The text between the braces, as it came; empty without labels. */
  readonly labels: string
  readonly value: number
}

/** The samples of one metric, found by searching for its name at line starts; samples that are no number are left out. */
export function samplesOf(text: string, name: string): Sample[] {
  const samples: Sample[] = []
  for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + name.length)) {
    if (at > 0 && text.charCodeAt(at - 1) !== 10) continue
    const end = text.indexOf('\n', at)
    const rest = text.slice(at + name.length, end < 0 ? undefined : end)
    const match = /^(?:\{(.*)\})?\s+(\S+)/.exec(rest) // greedy: a brace inside a label value does not end the labels
    const value = match ? Number(match[2]) : Number.NaN
    if (match && Number.isFinite(value)) samples.push({ labels: match[1] ?? '', value })
  }
  return samples
}

/** The value of one label, without undoing escapes (numbers and plain words are what we look for); null when absent. */
export function labelOf(labels: string, name: string): string | null {
  const match = new RegExp(`(?:^|,)\\s*${name}="([^"]*)"`).exec(labels)
  return match ? (match[1] as string) : null
}

/** A label that holds a positive number, else null (engines write `None`). */
export function numberLabel(labels: string, name: string): number | null {
  const value = Number(labelOf(labels, name) ?? Number.NaN)
  return value > 0 && Number.isFinite(value) ? value : null
}

/**
 * One value a data-parallel rank: tensor-parallel peers of a rank repeat its value, so the largest counts.
 * Samples without that label are one rank.
 */
export function byRank(samples: readonly Sample[], rankLabel: string): number[] {
  const ranks = new Map<string, number>()
  for (const { labels, value } of samples) {
    const rank = labelOf(labels, rankLabel) ?? ''
    ranks.set(rank, Math.max(value, ranks.get(rank) ?? -Infinity))
  }
  return [...ranks.values()]
}

/**
 * The load of a server, with that of each of its ranks where it has several; null where nobody runs. `running`: one sample a rank
 * at least. `load`: reads the samples that are meant.
 */
export function eachRank(
  running: readonly Sample[],
  rankLabel: string,
  load: (isMeant: (sample: Sample) => boolean) => EngineLoad,
): EngineLoad | null {
  if (running.length === 0) return null
  const names = [...new Set(running.map(({ labels }) => labelOf(labels, rankLabel)))]
  const whole = load(() => true)
  if (names.length < 2) return whole
  const ranks = names.map((name) => ({
    rank: Number(name),
    ...load(({ labels }) => labelOf(labels, rankLabel) === name),
  }))
  return { ...whole, ranks }
}

/** 0 of none. */
export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

/** 0 of none. */
export function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : sum(values) / values.length
}

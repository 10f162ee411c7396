// When loads are too far apart for anything else to matter, in the words of SGLang's and vLLM's routers.
import type { Config } from '../config/schema.ts'

/** By variant: the README's figures and those of the current release. */
const DEFAULTS = {
  readme: { balanceAbs: 32, balanceRel: 1.0001 },
  release: { balanceAbs: 64, balanceRel: 1.5 },
} as const

export interface Balance {
  readonly balanceAbs: number
  readonly balanceRel: number
}

/** The bounds as configured, else those of the variant. */
export function balanceOf(config: Config): Balance {
  const { balanceAbs, balanceRel } = DEFAULTS[config.cacheAwareVariant]
  return { balanceAbs: config.balanceAbs ?? balanceAbs, balanceRel: config.balanceRel ?? balanceRel }
}

/** The loads differ by more than a number and by more than a factor. */
export function isImbalanced(least: number, most: number, { balanceAbs, balanceRel }: Balance): boolean {
  return most - least > balanceAbs && most > least * balanceRel
}

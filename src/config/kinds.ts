// Kinds of values that many keys of the configuration have.
import * as z from './form.ts'

export const whole = (least: number, most?: number) =>
  most === undefined ? z.int().check(z.minimum(least)) : z.int().check(z.minimum(least), z.maximum(most))
export const count = (initial: number) => z.prefault(whole(0), initial)
export const share = (initial: number) => z.prefault(z.number().check(z.minimum(0), z.maximum(1)), initial)
export const flag = (initial: boolean) => z.prefault(z.boolean(), initial)

/** Real calls that workers can be probed with. */
export const PROBE_KINDS = [
  'chat',
  'completion',
  'embeddings',
  'rerank',
  'score',
  'transcription',
  'vision',
  'messages',
] as const
export type ProbeKind = (typeof PROBE_KINDS)[number]

/** A number in a list: flags and variables give it as text. */
export const numeric = <T extends z.Form<number, number>>(number: T) =>
  z.pipe(z.pipe(z.union([z.string(), z.number()]), z.transform(Number)), number)

/** Text that `parse` understands, in its canonical form; what `parse` throws is what is wrong with it. */
export function read(parse: (written: string) => string) {
  return z.pipe(
    z.string(),
    z.transform((written, ctx) => {
      try {
        return parse(written)
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error)
        ctx.issues.push({ code: 'custom', message, path: [] })
        return z.NEVER
      }
    }),
  )
}

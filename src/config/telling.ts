// Where metrics and logs go besides the main listener and the process's output.
import * as z from './form.ts'
import { numeric } from './kinds.ts'

const text = () => z.optional(z.string().check(z.minLength(1)))

export const telling = {
  metricsListen: text(),
  durationBuckets: z.prefault(z.array(numeric(z.number().check(z.positive()))), []),
  profile: text(),
  logDir: text(),
}

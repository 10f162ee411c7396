// Where metrics and logs go besides the main listener and the process's output.
import * as z from './form.ts'
import { about, numeric } from './kinds.ts'

const text = () => z.optional(z.string().check(z.minLength(1)))

export const telling = {
  metricsListen: about(text(), 'HOST:PORT of a listener of its own for the metrics, whatever the path'),
  durationBuckets: about(
    z.prefault(z.array(numeric(z.number().check(z.positive()))), []),
    'upper bounds of the histogram of how long calls take, seconds; none: 5 ms to an hour',
  ),
  profile: about(
    text(),
    'file that a CPU profile of the serving thread is written to at the end (Node alone), for developer tools to open',
  ),
  logDir: about(text(), 'directory where log lines are kept too, in a file for each day'),
}

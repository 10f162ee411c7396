// A CPU profile of this process, from its start to its end, in a file that browsers' developer tools and editors open.
import { writeFile } from 'node:fs/promises'
import { Session } from 'node:inspector/promises'
import type { LogEvent } from '../../src/host.ts'

/** Begins to profile this thread; what it returns ends that and writes the file. A file that cannot be written is told. */
export async function profileTo(path: string, log: (event: LogEvent) => void): Promise<() => Promise<void>> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.start')
  return async () => {
    const { profile } = await session.post('Profiler.stop')
    session.disconnect()
    try {
      await writeFile(path, JSON.stringify(profile))
      log({ level: 'info', message: `the CPU profile is in ${path}` })
    } catch (error) {
      log({ level: 'error', message: 'The CPU profile cannot be written', file: path, error: String(error) })
    }
  }
}

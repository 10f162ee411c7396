// Load that comes with answers: asked for in the request's headers, read from the answer's, and kept from clients that did not ask.
import type { Plan } from '../actors/ask.ts'
import { ORCA_ANSWER, ORCA_FORMAT, ORCA_REQUEST, readOrca, type OrcaLoad } from '../engines/orca.ts'
import type { HeaderList } from '../host.ts'
import { headerOf, withoutHeader, type ClientHeaders } from './headers.ts'

/** Adds the question to the headers of an attempt, where the pool wants to know and the client does not ask by itself. */
export function askLoad(headers: string[], plan: Plan): string[] {
  if (plan.asksLoad && headerOf(headers, ORCA_REQUEST) === undefined) headers.push(ORCA_REQUEST, ORCA_FORMAT)
  return headers
}

/** What an answer tells of its worker's load, and its headers as the client gets them. */
export interface Reported {
  readonly load: OrcaLoad | null
  readonly headers: HeaderList
}

/** Reads an answer's report. A client that did not ask for one never sees it: how busy workers are is not for everybody. */
export function takeReport(headers: HeaderList, client: ClientHeaders): Reported {
  const report = headerOf(headers, ORCA_ANSWER)
  if (report === undefined) return { load: null, headers }
  const isAsked = headerOf(client.passed, ORCA_REQUEST) !== undefined
  return { load: readOrca(report), headers: isAsked ? headers : withoutHeader(headers, ORCA_ANSWER) }
}

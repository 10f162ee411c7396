// Reads FETCHWAY_… variables into values of the configuration.
import { coerceMany, coerceScalar } from './coerce.ts'
import { envName, type Field } from './fields.ts'
import type { ConfigIssue, Given, Place } from './issues.ts'
import { nearest } from './nearest.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export interface Variables {
  readonly given: ReadonlyMap<string, Given>
  readonly issues: readonly ConfigIssue[]
  /** Variables that look like nothing we know: they may be meant for another program, so they are no errors. */
  readonly warnings: readonly ConfigIssue[]
}

const PREFIX = 'FETCHWAY_'
/** Read by the command line, not part of the configuration. */
const OWN: readonly string[] = ['FETCHWAY_CONFIG', 'FETCHWAY_ENGINE_COMMAND']

/** Values of the process's environment. Empty variables count as unset, as in container files. */
export function readEnvironment(environment: Environment, fields: readonly Field[]): Variables {
  const assignments = Object.entries(environment).flatMap(([name, value]) =>
    value === undefined ? [] : [{ name, value }],
  )
  return readVariables(assignments, fields, (name) => ({ source: 'env', name }))
}

/** Values of assignments, the last of each name; `placeOf` tells where one stands. */
export function readVariables(
  assignments: readonly { name: string; value: string }[],
  fields: readonly Field[],
  placeOf: (name: string) => Place,
): Variables {
  const byName = new Map(
    fields.flatMap((field) => [field.env, variableOf(field.flag)].map((name) => [name, field] as const)),
  )
  const given = new Map<string, Given>()
  const issues: ConfigIssue[] = []
  const warnings: ConfigIssue[] = []
  for (const { name, value } of assignments) {
    if (!name.startsWith(PREFIX) || value.trim() === '' || OWN.includes(name) || isServiceLink(name, value))
      continue
    const field = byName.get(name)
    const place = placeOf(name)
    if (!field) {
      const meant = nearest(
        name.slice(PREFIX.length),
        [...byName.keys(), ...OWN].map((known) => known.slice(PREFIX.length)),
      )
      if (meant === null)
        warnings.push({ ...place, key: '', message: 'unknown variable, which has no effect' })
      else issues.push({ ...place, key: '', message: `unknown variable; did you mean ${PREFIX}${meant}?` })
      continue
    }
    const coerced =
      field.kind === 'list' || field.kind === 'map'
        ? coerceMany(field, value)
        : coerceScalar(field, value.trim())
    if ('problem' in coerced) issues.push({ ...place, key: field.key, message: coerced.problem })
    else given.set(field.key, { value: coerced.value, at: () => place })
  }
  return { given, issues, warnings }
}

const variableOf = (flag: string): string => envName(flag)

/** Kubernetes sets such variables in every pod beside a Service named `fetchway`; they are not meant for us. */
function isServiceLink(name: string, value: string): boolean {
  return (
    /^FETCHWAY_(SERVICE_|PORT_\d+_)/.test(name) ||
    (name === 'FETCHWAY_PORT' && /^(tcp|udp|sctp):\/\//.test(value))
  )
}

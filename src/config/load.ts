// The configuration of a program: arguments and `.env` besides what every runtime has.
import { assemble, NO_VARIABLES, type Everywhere, type Layer, type Loaded } from './assemble.ts'
import { parseDotenv, readDotenv } from './dotenv.ts'
import type { Environment } from './environment.ts'
import { fields as allFields } from './fields.ts'
import { readFlags } from './flags.ts'
import { listeningChecks } from './listening.ts'

export type { Layer, Loaded, Origins } from './assemble.ts'

/** What a program's configuration is made from. */
export interface Sources extends Everywhere {
  /** Arguments after the command. */
  readonly flags?: readonly string[]
  /** A `.env` file: weaker than the environment. */
  readonly dotenv?: { readonly name: string; readonly text: string } | null
  /** What the command line of another router's program came to: stronger than all others. */
  readonly translated?: Layer
  /** That program's defaults: weaker than all others but our own defaults. */
  readonly presets?: Layer
  /** What `${NAME}` in the file may name; without it the environment and `.env`. */
  readonly variables?: Environment
}

/** Flags beat the environment, which beats `.env`, which beats the file, which beats the defaults. */
export function load(sources: Sources): Loaded {
  const { translated, dotenv, presets } = sources
  const fields = allFields()
  const flags = readFlags(sources.flags ?? [], fields)
  return assemble(
    { ...sources, variables: sources.variables ?? joinedEnvironment(sources) },
    {
      stronger: [...(translated ? [translated] : []), flags.given],
      dotenv: dotenv ? readDotenv(dotenv, fields) : NO_VARIABLES,
      presets: presets ? [presets] : [],
      issues: flags.issues,
      checks: listeningChecks,
    },
  )
}

/** The variables that `${NAME}` may name: those of the process before those of `.env`. */
export function joinedEnvironment(sources: Pick<Sources, 'environment' | 'dotenv'>): Environment {
  const assignments = sources.dotenv ? parseDotenv(sources.dotenv.text).assignments : []
  return {
    ...Object.fromEntries(assignments.map(({ name, value }) => [name, value])),
    ...sources.environment,
  }
}

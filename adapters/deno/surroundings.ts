// Where a Deno process finds its configuration, with no more permissions than it was given.
import process from 'node:process'
import { fields } from '../../src/config/fields.ts'
import type { Surroundings } from '../cli/sources.ts'
import { runtime } from './deno-types.ts'

/** The whole environment where it may be read (then `${NAME}` in the file works for all names), else our own variables. */
export function surroundings(): Surroundings {
  return { directory: process.cwd(), environment: readEnvironment() }
}

function readEnvironment(): Record<string, string | undefined> {
  const { env, permissions } = runtime
  if (permissions.querySync({ name: 'env' }).state === 'granted') return env.toObject()
  const names = ['FETCHWAY_CONFIG', ...fields().map((field) => field.env)]
  return Object.fromEntries(names.map((name) => [name, env.get(name)]))
}

// What may be written in a configuration file, as JSON Schema: apart, since only commands need it and its code is large.
import * as z from 'zod/mini'
import { configSchema } from './schema.ts'

/** JSON Schema of the configuration file (what may be written, not what comes out), for editors and `config schema`. */
export function jsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(configSchema, { io: 'input' }) as Record<string, unknown>
  const properties = schema['properties'] as Record<string, unknown>
  return {
    ...schema,
    title: 'Fetchway configuration',
    properties: { $schema: { type: 'string', description: 'for editors; ignored' }, ...properties },
  }
}

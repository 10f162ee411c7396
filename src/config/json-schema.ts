// What may be written in a configuration file, as JSON Schema: apart, since only commands need it.
import type { Definition, Form } from './form.ts'
import { members } from './members.ts'
import { configSchema, type Config } from './schema.ts'
import { words } from './words.ts'

type Json = Readonly<Record<string, unknown>>

/** JSON Schema of the configuration file (what may be written, not what comes out), for editors and `config schema`. */
export function jsonSchema(): Record<string, unknown> {
  const schema = schemaOf(configSchema, [])
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    ...schema,
    title: 'Fetchway configuration',
    properties: {
      $schema: { type: 'string', description: 'for editors; ignored' },
      ...told(schema['properties'] as Readonly<Record<keyof Config, Json>>),
    },
  }
}

const told = (properties: Readonly<Record<keyof Config, Json>>): Json =>
  Object.fromEntries(
    Object.entries(properties).map(([key, schema]) => [
      key,
      { description: words[key as keyof Config], ...schema },
    ]),
  )

type Path = readonly string[]

/** `path`: names of the members that lead to it. */
function schemaOf({ definition, unit }: Form, path: Path): Json {
  return { ...(unit && { 'x-unit': unit }), ...bare(definition, path), ...definition.limits }
}

/** Without unit and limits. */
function bare(definition: Definition, path: Path): Json {
  switch (definition.type) {
    case 'string':
    case 'boolean':
    case 'number':
      return { type: definition.type }
    case 'int':
      return { type: 'integer', minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER }
    case 'enum':
      return { type: 'string', enum: definition.values }
    case 'literal':
      return { type: 'string', const: definition.value }
    case 'array':
      return { type: 'array', items: schemaOf(definition.item, path) }
    case 'record':
      return {
        type: 'object',
        propertyNames: schemaOf(definition.key, path),
        additionalProperties: schemaOf(definition.item, path),
      }
    case 'object':
      return objectOf(definition.shape, path)
    case 'optional':
      return schemaOf(definition.inner, path)
    case 'nullable':
      return { anyOf: [schemaOf(definition.inner, path), { type: 'null' }] }
    case 'prefault':
      return { default: definition.initial, ...schemaOf(definition.inner, path) }
    case 'union':
      return unionOf(definition.forms, path)
    case 'pipe':
      return schemaOf(definition.first, path)
    case 'unknown':
      return {}
  }
}

function objectOf(shape: Readonly<Record<string, Form>>, path: Path): Json {
  const entries = Object.entries(shape)
  const words = members[path.join('.')]
  const memberOf = ([name, form]: [string, Form]): [string, Json] => {
    const description = words?.[name]
    return [name, { ...(description !== undefined && { description }), ...schemaOf(form, [...path, name]) }]
  }
  const required = entries.filter(([, form]) => !mayBeAbsent(form)).map(([name]) => name)
  return {
    type: 'object',
    properties: Object.fromEntries(entries.map(memberOf)),
    ...(required.length > 0 && { required }),
    additionalProperties: false,
  }
}

const mayBeAbsent = ({ definition: { type } }: Form): boolean => type === 'optional' || type === 'prefault'

/** Forms that are nothing but a type are written as one list of types. */
function unionOf(forms: readonly Form[], path: Path): Json {
  const schemas = forms.map((form) => schemaOf(form, path))
  const isPlain = schemas.every((one) => Object.keys(one).length === 1 && 'type' in one)
  return isPlain ? { type: schemas.map((one) => one['type']) } : { anyOf: schemas }
}

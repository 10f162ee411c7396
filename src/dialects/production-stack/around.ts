// production-stack's flags for what is put around calls: callbacks, the rewriter, external providers, the semantic cache.
import type { ConfigInput } from '../../config/schema.ts'
import type { Tree } from '../../config/tree.ts'
import { modulePath } from '../../extensions/hooks.ts'
import type { Circumstances } from '../dialect.ts'
import type { GivenFlag } from '../flag.ts'
import type { Settings, Values } from '../gateway/translate.ts'

export interface TranslatedAround {
  readonly problems: readonly string[]
  readonly notes: readonly string[]
}

/** Sets their keys. `given`: the flags that were given. */
export async function translateAround(
  values: Values,
  settings: Settings,
  { by, given }: { readonly by: Circumstances; readonly given: ReadonlyMap<string, GivenFlag> },
): Promise<TranslatedAround> {
  const notes: string[] = []
  if (values['routing_logic'] === 'kvaware')
    settings.set('lmcache', lmcacheOf(values), 'lmcache_controller_port')
  const problems = [
    ...translateModules(values, settings),
    ...(await translateProviders(values, settings, by)),
    ...translateGates(values, settings, { notes, hasModel: given.has('semantic_cache_model') }),
  ]
  return { problems, notes }
}

function lmcacheOf(values: Values): ConfigInput['lmcache'] {
  const port = (dest: string) => values[dest] as number | undefined
  const [replyPort, heartbeatPort] = [
    port('lmcache_controller_reply_port'),
    port('lmcache_controller_heartbeat_port'),
  ]
  return {
    port: port('lmcache_controller_port') ?? 9000,
    ...(replyPort !== undefined && { replyPort }),
    ...(heartbeatPort !== undefined && { heartbeatPort }),
    workerTimeout: `${String(values['lmcache_worker_timeout'] as number)}s`,
  }
}

function translateModules(values: Values, settings: Settings): string[] {
  const problems: string[] = []
  const set = (key: string, dest: string, value: unknown) => {
    if (typeof value !== 'string' || value === '') return
    try {
      modulePath(value, `--${dest.replaceAll('_', '-')}`)
      settings.set(key, value, dest)
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error))
    }
  }
  set('callbacks', 'callbacks', values['callbacks'])
  const rewriter = values['request_rewriter']
  if (rewriter !== 'noop') set('requestRewriter', 'request_rewriter', rewriter)
  return problems
}

const NO_EMBEDDER =
  'SemanticCache needs an embedder: no model runs in this router; let --semantic-cache-model name a model of the fleet that answers /v1/embeddings, the URL of such an endpoint (URL#MODEL), or an ES module (./embed.mjs)'
const NO_PII =
  'the feature gate PIIDetection has no effect here, as it has none in production-stack: a callback (--callbacks) can look at requests and refuse them'

function translateGates(
  values: Values,
  settings: Settings,
  { notes, hasModel }: { readonly notes: string[]; readonly hasModel: boolean },
): string[] {
  const problems: string[] = []
  for (const gate of String((values['feature_gates'] as string | undefined) ?? '').split(',')) {
    if (gate.trim() === '') continue
    const [name = '', state = ''] = gate.split('=').map((part) => part.trim())
    const isOn = /^true$/i.test(state)
    if (!isOn && !/^false$/i.test(state))
      problems.push(`argument --feature-gates: ${gate.trim()} is not NAME=true or NAME=false`)
    else if (name === 'PIIDetection' || name === 'PII') notes.push(...(isOn ? [NO_PII] : []))
    else if (name !== 'SemanticCache')
      notes.push(`there is no feature gate ${name}: SemanticCache is the only one`)
    else if (isOn && !hasModel) problems.push(NO_EMBEDDER)
    else if (isOn) settings.set('semanticCache', cacheOf(values), 'feature_gates')
  }
  return problems
}

const cacheOf = (values: Values): ConfigInput['semanticCache'] => ({
  embedder: String(values['semantic_cache_model'] as string),
  threshold: Number(values['semantic_cache_threshold']),
  directory: String(values['semantic_cache_dir'] as string),
})

async function translateProviders(
  values: Values,
  settings: Settings,
  { readFile, parse, environment }: Circumstances,
): Promise<string[]> {
  const file = values['external_providers_config']
  if (typeof file !== 'string' || file === '') return []
  const text = await readFile(file)
  if (text === null) return [`${file}: there is no such file`]
  if (parse === undefined) return [`${file}: files are not read here`]
  const { tree, issues } = parse(file, text)
  if (issues.length > 0)
    return issues.map(({ line, column, message }) => `${file}:${line}:${column}: ${message}`)
  const listed = tree && fieldOf(tree, 'external_providers')
  if (!listed || listed.kind !== 'list') return [`${file}: expected a list under external_providers`]
  const problems: string[] = []
  const providers = listed.items.map((item) => {
    const tell = (problem: string) => void problems.push(`${file}:${item.line}: ${problem}`)
    return providerOf(item, environment, tell)
  })
  settings.set('providers', providers, 'external_providers_config')
  return problems
}

/** `OPENAI_API_KEY` where a provider names no variable of its own. */
const COMMON_KEY = 'OPENAI_API_KEY'

function providerOf(
  tree: Tree,
  environment: Circumstances['environment'],
  tell: (problem: string) => void,
): Record<string, unknown> {
  const text = (key: string) => scalarOf(fieldOf(tree, key))
  const name = text('name')
  const type = text('type') ?? 'openai'
  if (name === undefined) tell('a provider needs a name')
  if (type !== 'openai') tell(`type ${type}: only openai is spoken`)
  const url = text('api_base')
  if (url === undefined || !/^https?:\/\//.test(url)) tell('api_base must be a URL')
  const variable = text('api_key_env_var')
  const apiKey = environment[variable ?? COMMON_KEY]
  if (variable !== undefined && !apiKey) tell(`the environment variable ${variable} is not set`)
  const models = fieldOf(tree, 'models')
  if (models?.kind !== 'list' || models.items.length === 0) tell('a provider needs models')
  const retries = text('max_retries')
  return {
    name,
    url,
    ...(apiKey && { apiKey }),
    timeout: `${text('timeout') ?? 30}s`,
    maxRetries: retries === undefined ? 3 : Number(retries),
    headers: pairsOf(fieldOf(tree, 'custom_headers')),
    models: models?.kind === 'list' ? models.items.map(modelOf) : [],
  }
}

function modelOf(tree: Tree): Record<string, unknown> {
  if (tree.kind === 'scalar') return { id: String(tree.value) }
  const aliases = fieldOf(tree, 'aliases')
  return {
    id: scalarOf(fieldOf(tree, 'id')),
    type: scalarOf(fieldOf(tree, 'type')) ?? 'chat',
    aliases: aliases?.kind === 'list' ? aliases.items.map((item) => scalarOf(item) ?? '') : [],
  }
}

function fieldOf(tree: Tree, key: string): Tree | undefined {
  return tree.kind === 'map' ? tree.entries.find((entry) => entry.key === key)?.value : undefined
}

const scalarOf = (tree: Tree | undefined): string | undefined =>
  tree?.kind === 'scalar' && tree.value !== null ? String(tree.value) : undefined

const pairsOf = (tree: Tree | undefined): Record<string, string> =>
  tree?.kind === 'map'
    ? Object.fromEntries(tree.entries.map(({ key, value }) => [key, scalarOf(value) ?? '']))
    : {}

// LMDeploy's DistServe: the prefill engine keeps a session's blocks, and the decode engine is told which ones to migrate.
import { askWorker } from '../../discovery/ask.ts'
import { UpstreamFailure } from '../../host.ts'
import { scanTop } from '../../openai/scan.ts'
import type { Edit } from '../../openai/spans.ts'
import { protocolNumber } from '../links.ts'
import { oneToken } from './caps.ts'
import type { Form, Occasion } from './form.ts'

const FREE_TIMEOUT = 5000

/** The engines are introduced once; a session whose blocks nobody fetches is freed on the prefill engine. */
export function distserve(occasion: Occasion): Form {
  const { core, admitted, plan } = occasion
  const { shape, body } = admitted.call
  let session: string | null = null
  return {
    ids: admitted.call.ids,
    prefill: [
      ...(body.kind === 'json' ? oneToken(shape, body.top) : []).filter(({ key }) => key !== 'min_tokens'),
      { kind: 'set', key: 'max_completion_tokens', value: '1' },
      { kind: 'set', key: 'with_cache', value: 'true' },
      { kind: 'set', key: 'preserve_cache', value: 'true' },
    ],
    before: () => core.links.connect(core, plan.prefill, plan.worker),
    decode(answer) {
      const told = readSession(answer)
      session = told.session
      return [migration(occasion, told)]
    },
    lost() {
      if (session !== null) core.host.after(free(occasion, session))
      session = null
    },
  }
}

/** The decode leg without any prefill, as LMDeploy's proxy sends it to measure decode engines. */
export const dummyMigration = (occasion: Occasion): Edit =>
  migration(occasion, { session: '0', token: '0', blocks: '[]' }, true)

interface Session {
  /** All of them JSON text. */
  readonly session: string
  readonly token: string
  readonly blocks: string
}

function readSession(answer: Uint8Array): Session {
  const top = scanTop(answer)
  const id = top.string('id') ?? top.raw('id')
  const blocks = top.raw('cache_block_ids')
  if (id === null || !/^\d+$/.test(id) || blocks === null)
    throw new UpstreamFailure('protocol', 'the prefill engine kept no cache', 'prefill')
  const tokens = top.json('remote_token_ids')
  const last: unknown = Array.isArray(tokens) ? tokens.at(-1) : undefined
  return { session: id, token: typeof last === 'number' ? String(last) : '0', blocks }
}

function migration({ core, plan }: Occasion, told: Session, isDummy = false): Edit {
  const value =
    `{"protocol":${protocolNumber(core.config)},"remote_engine_id":${JSON.stringify(isDummy ? 'dummy:dummy' : plan.prefill.url)},` +
    `"remote_session_id":${told.session},"remote_token_id":${told.token},"remote_block_ids":${told.blocks},"is_dummy_prefill":${isDummy}}`
  return { kind: 'set', key: 'migration_request', value }
}

async function free({ core, plan }: Occasion, session: string): Promise<void> {
  await askWorker(core.host, plan.prefill, {
    method: 'POST',
    path: '/distserve/free_cache',
    body: `{"remote_engine_id":${JSON.stringify(plan.prefill.url)},"remote_session_id":${session}}`,
    timeout: FREE_TIMEOUT,
  })
}

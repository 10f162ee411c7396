// Flags of headers, keys and tokens, by what clients and engines get.
import { ISSUER, issuer } from '../../admission/_issuer.ts'
import { callsOf, headerOf, W1 } from '../../journeys/_rig.ts'
import { ONE, send, type Row, type Speaker } from './_flag.ts'

const bearer = (key: string) => ({ authorization: `Bearer ${key}` })

/** Statuses of the control plane's list of workers by keys. */
async function doors(line: string, { open, engine }: Speaker, keys: readonly string[]): Promise<number[]> {
  const router = await open(`${ONE} ${line}`, { [W1]: engine() })
  const statuses: number[] = []
  for (const key of keys) statuses.push((await router.ask('/workers', { headers: bearer(key) })).status)
  return statuses
}

const KEYS = '--control-plane-api-keys 1:ann:admin:sk-ann 2:bob:user:sk-bob'

/** Lines that are logged of a use of the control plane. */
async function audited(line: string, { open, engine }: Speaker): Promise<unknown[]> {
  const router = await open(`${ONE} ${KEYS} ${line}`, { [W1]: engine() })
  await router.ask('/workers', { headers: bearer('sk-bob') })
  return router.logged
    .filter(({ message }) => message === 'control plane')
    .map(({ who, status }) => [who, status])
}

/** The control plane's status for a token of the issuer. */
async function token(line: string, { open, engine }: Speaker, claims: object): Promise<number> {
  const { server, sign } = await issuer()
  const fleet = { [W1]: engine(), [ISSUER]: server, 'https://keys': server }
  const router = await open(`${ONE} ${line}`, fleet)
  const whole = {
    iss: ISSUER,
    aud: 'fetchway',
    sub: 'ann',
    exp: Math.floor(Date.now() / 1000) + 600,
    ...claims,
  }
  return (await router.ask('/workers', { headers: bearer(await sign(whole)) })).status
}

const ISSUED = `--jwt-issuer ${ISSUER} --jwt-audience fetchway --jwt-jwks-uri ${ISSUER}/keys`

export const doorRows: readonly Row[] = [
  {
    flag: '--request-id-headers',
    cases: [
      ['--request-id-headers x-a x-b', ['mine', 'mine']],
      ['--request-id-headers x-c', ['another', 'another']],
    ],
    async see(line, { open, engine }) {
      const worker = engine()
      const router = await open(`${ONE} ${line}`, { [W1]: worker })
      const { headers } = await send(router, {}, { 'x-b': 'mine', 'x-request-id': 'other' })
      const ids = [headers.get('x-request-id'), headerOf(callsOf(worker)[0], 'x-request-id')]
      return ids.map((id) => (id === 'mine' ? id : 'another'))
    },
  },
  {
    flag: '--cors-allowed-origins',
    cases: [
      ['', '*'],
      ['--cors-allowed-origins https://a https://b', 'https://a'],
      ['--cors-allowed-origins https://b', null],
    ],
    async see(line, { open, engine }) {
      const router = await open(`${ONE} ${line}`, { [W1]: engine() })
      const { headers } = await send(router, {}, { origin: 'https://a' })
      return headers.get('access-control-allow-origin')
    },
  },
  {
    flag: '--api-key',
    cases: [
      ['', { sglang: [200, null], vllm: [200, null] }],
      ['--api-key k', { sglang: [401, null], vllm: [200, 'Bearer k'] }],
    ],
    async see(line, speaker) {
      const worker = speaker.engine()
      const router = await speaker.open(`${ONE} ${line}`, { [W1]: worker })
      const { status } = await send(router)
      const seen = [status, headerOf(callsOf(worker)[0], 'authorization') ?? null]
      // The other program's key is for workers alone.
      const other = speaker.kind === 'sglang' ? 'vllm' : 'sglang'
      const expected = line === '' ? [200, null] : other === 'vllm' ? [200, 'Bearer k'] : [401, null]
      return { [speaker.kind]: seen, [other]: expected }
    },
  },
  {
    flag: '--control-plane-api-keys',
    of: 'sglang',
    cases: [
      ['', [200, 200, 200]],
      [KEYS, [200, 403, 401]],
    ],
    see: (line, speaker) => doors(line, speaker, ['sk-ann', 'sk-bob', 'sk-eve']),
  },
  {
    flag: '--control-plane-audit-enabled',
    of: 'sglang',
    cases: [
      ['', []],
      ['--control-plane-audit-enabled', [['2', 403]]],
    ],
    see: audited,
  },
  {
    flag: '--disable-audit-logging',
    of: 'sglang',
    cases: [
      ['', [['2', 403]]],
      ['--disable-audit-logging', []],
    ],
    see: (line, speaker) => audited(`--control-plane-audit-enabled ${line}`, speaker),
  },
  {
    flag: '--jwt-issuer --jwt-audience',
    of: 'sglang',
    cases: [
      [`--jwt-issuer ${ISSUER} --jwt-audience fetchway`, 200],
      [`--jwt-issuer https://other --jwt-audience fetchway`, 401],
      [`--jwt-issuer ${ISSUER} --jwt-audience other`, 401],
    ],
    see: (line, speaker) => token(`${line} --jwt-jwks-uri ${ISSUER}/keys`, speaker, { role: 'admin' }),
  },
  {
    flag: '--jwt-jwks-uri',
    of: 'sglang',
    cases: [
      ['--jwt-jwks-uri https://keys/set', 200],
      ['--jwt-jwks-uri https://nobody/set', 401],
    ],
    see: (line, speaker) =>
      token(`--jwt-issuer ${ISSUER} --jwt-audience fetchway ${line}`, speaker, { role: 'admin' }),
  },
  {
    flag: '--jwt-role-claim',
    of: 'sglang',
    cases: [
      ['', 401],
      ['--jwt-role-claim duties', 200],
    ],
    see: (line, speaker) => token(`${ISSUED} ${line}`, speaker, { duties: ['admin'] }),
  },
  {
    flag: '--jwt-role-mapping',
    of: 'sglang',
    cases: [
      ['', 401],
      ['--jwt-role-mapping ops=admin', 200],
      ['--jwt-role-mapping ops=user', 403],
    ],
    see: (line, speaker) => token(`${ISSUED} ${line}`, speaker, { role: 'ops' }),
  },
  {
    flag: '--api-key-validation-urls',
    of: 'vllm',
    cases: [
      ['', [200, 200]],
      ['--api-key-validation-urls https://who/user', [401, 200]],
      ['--api-key-validation-urls https://nobody/user,https://who/user', [401, 200]],
    ],
    async see(line, { open, engine }) {
      const who = {
        fetch: ({ headers }: Request) =>
          Promise.resolve(
            new Response('', { status: headers.get('authorization') === 'Bearer t' ? 200 : 403 }),
          ),
      }
      const router = await open(`${ONE} ${line}`, { [W1]: engine(), 'https://who': who })
      const statuses: number[] = []
      for (const key of ['x', 't']) statuses.push((await send(router, {}, bearer(key))).status)
      return statuses
    },
  },
]

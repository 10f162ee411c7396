// Each flag and variable of DLRouter has an effect that somebody sees, or is known to have none.
import { dlrouter } from '../../../src/dialects/dlrouter/index.ts'
import { hybrid, pairs } from './_dlrouter.ts'
import { processes } from './_dlrouter-process.ts'
import { testProgram } from './_row.ts'

const BACKENDS = ['lmdeploy', 'vllm', 'sglang', 'dlengine']
const flags = BACKENDS.flatMap((backend) => dlrouter.flags(['--backend', backend])).flatMap(
  ({ names }) => names,
)

const VARIABLES = [
  'DLROUTER_HEARTBEAT_EXPIRATION',
  'DLROUTER_HEALTH_CHECK_TIMEOUT',
  'DLROUTER_HEALTH_CHECK_MAX_FAILURES',
  'DLROUTER_AIOHTTP_TIMEOUT',
  'UVICORN_LOG_LEVEL',
  'SSL_KEYFILE',
  'SSL_CERTFILE',
  'OPENAI_API_KEY',
  'DLROUTER_CONFIG_JSON',
]

const REFUSED = 'of the backend dlengine, which is refused with a sentence (test/dialects/dlrouter.test.ts)'

testProgram('dlrouter', {
  rows: [...hybrid, ...pairs, ...processes],
  names: [...new Set([...flags, ...VARIABLES])],
  without: {
    '--ctrl_address': REFUSED,
    '--ctrl_scope': REFUSED,
    '--ctrl_kind': REFUSED,
    '--discovery_poll_interval': REFUSED,
    DLROUTER_CONFIG_JSON:
      'by it the program tells its own worker processes what it was told; threads need none',
  },
})

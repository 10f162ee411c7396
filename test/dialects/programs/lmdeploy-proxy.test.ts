// Each flag and variable of LMDeploy's proxy has an effect that somebody sees.
import { lmdeployProxy } from '../../../src/dialects/lmdeploy-proxy/index.ts'
import { calls, processes } from './_lmdeploy.ts'
import { testProgram } from './_row.ts'

testProgram('lmdeploy-proxy', {
  rows: [...calls, ...processes],
  names: [
    ...lmdeployProxy.flags([]).flatMap(({ names }) => names),
    'LMDEPLOY_CONTROLLER_HEART_BEAT_EXPIRATION',
    'AIOHTTP_TIMEOUT',
    'UVICORN_LOG_LEVEL',
    'SSL_KEYFILE',
    'SSL_CERTFILE',
  ],
  without: {},
})

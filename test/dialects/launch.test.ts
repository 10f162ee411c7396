import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sglangLaunchServer } from '../../src/dialects/sglang-launch-server/index.ts'
import { splitLaunch } from '../../src/dialects/sglang-router/launch-flags.ts'
import { configOf, translated } from './_translate.ts'

test('flags of the router are told from those of the workers by their prefix', () => {
  const line =
    '--model-path m --dp-size 4 --router-policy random --host 0.0.0.0 --mem 0.8 --router-selector a=b c=d'
  assert.deepEqual(splitLaunch(line.split(' ')), {
    router: [
      '--dp-size',
      '4',
      '--router-policy',
      'random',
      '--host',
      '0.0.0.0',
      '--router-selector',
      'a=b',
      'c=d',
    ],
    workers: ['--model-path', 'm', '--mem', '0.8'],
  })
})

test('the router’s flags mean what they mean without the prefix', async () => {
  const config = await configOf(
    sglangLaunchServer,
    '--router-policy random --router-cache-threshold 0.9 --port 9',
  )
  assert.deepEqual([config.policy, config.cacheThreshold, config.port], ['random', 0.9, 9])
})

test('workers are as many as --dp-size, with the GPUs that --tp-size gives each', async () => {
  const line = '--model-path m --dp-size 4 --tp-size 2 --router-dp-worker-base-port 40000'
  const { launch } = await translated(sglangLaunchServer, line)
  assert.deepEqual(launch, {
    command: ['python3', '-m', 'sglang.launch_server'],
    argv: ['--model-path', 'm', '--tp-size', '2'],
    count: 4,
    host: '127.0.0.1',
    basePort: 40000,
    gpusEach: 2,
    seconds: 300,
  })
})

test('another command takes the engine’s place by the environment', async () => {
  const environment = { FETCHWAY_ENGINE_COMMAND: 'fetchway engine' }
  const { launch } = await translated(sglangLaunchServer, '', { environment })
  assert.deepEqual(launch?.command, ['fetchway', 'engine'])
})

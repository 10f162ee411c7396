// The router against a real API server: its manifests are accepted, its role is enough, and pods come and go as they do.
// Run by `npm run test:kube`, which builds the server first.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { writeFile } from 'node:fs/promises'
import { parseAllDocuments } from 'yaml'
import { createOutside } from '../../adapters/node/outside.ts'
import { configSchema } from '../../src/config/schema.ts'
import { findAccess } from '../../src/discovery/kubernetes/access.ts'
import { KubeApi } from '../../src/discovery/kubernetes/api.ts'
import { fileOf } from '../journeys/_foreign.ts'
import { Running } from '../journeys/_programs.ts'
import { chat, CHAT, engine, eventually, W1, W2, WORKERS } from '../journeys/_rig.ts'
import { listenAll } from '../journeys/_sockets.ts'
import { CACHE } from './build.ts'
import { loadConfig } from './config.ts'
import { startKube, type Json, type KubeServer } from './server.ts'

const NAMESPACE = 'fetchway'
const PODS = `/api/v1/namespaces/${NAMESPACE}/pods`
const APPLY = 'application/apply-patch+yaml'
const MERGE = 'application/strategic-merge-patch+json'

let kube: KubeServer
let token = ''
before(async () => {
  kube = await startKube()
  await kube.must('POST', '/api/v1/namespaces', { metadata: { name: NAMESPACE } })
})
after(() => kube.stop())

const render = (...args: string[]): Json[] =>
  parseAllDocuments(execFileSync(join(CACHE, 'render'), args, { encoding: 'utf8' }))
    .map((one) => one.toJS() as Json)
    .filter((one) => one !== null)

/** Where the server keeps an object of a manifest. */
function pathOf({ apiVersion, kind, metadata }: Json): string {
  const group = apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`
  const where = kind.startsWith('Cluster') ? '' : `/namespaces/${metadata.namespace ?? NAMESPACE}`
  return `${group}${where}/${kind.toLowerCase()}s/${metadata.name}`
}

/** As `kubectl apply --server-side`, unknown fields being errors. */
const apply = (object: Json, more = '') =>
  kube.must(
    'PATCH',
    `${pathOf(object)}?fieldManager=test&fieldValidation=Strict&force=true${more}`,
    object,
    APPLY,
  )

describe('the manifests', () => {
  const folders = ['base', 'overlays/prefill-decode', 'overlays/all-namespaces', 'overlays/services']
  const all: readonly [string, readonly string[]][] = [
    ...folders.map((folder): [string, readonly string[]] => [
      `deploy/kubernetes/${folder}`,
      ['kustomize', fileOf(`deploy/kubernetes/${folder}`)],
    ]),
    ['deploy/helm/fetchway', ['helm', fileOf('deploy/helm/fetchway'), NAMESPACE]],
    [
      'deploy/helm/fetchway with other values',
      [
        'helm',
        fileOf('deploy/helm/fetchway'),
        NAMESPACE,
        'rbac.clusterWide=true',
        'nodeSelector.pool=gpu',
        'podAnnotations.team=one',
      ],
    ],
  ]
  for (const [title, command] of all)
    it(`of ${title} are accepted by a server-side dry run`, async () => {
      const objects = render(...command)
      assert.ok(objects.length >= 6)
      for (const object of objects) await apply(object, '&dryRun=All')
    })

  it('hold configurations that the router takes', async () => {
    for (const folder of folders) {
      const config = render('kustomize', fileOf(`deploy/kubernetes/${folder}`)).find(
        ({ kind }) => kind === 'ConfigMap',
      )
      const file = join(kube.directory, 'fetchway.yaml')
      await writeFile(file, config.data['fetchway.yaml'])
      assert.deepEqual(await loadConfig(file), [], folder)
    }
  })
})

describe('the role', () => {
  it('is enough to find workers, and for nothing else', async () => {
    for (const object of render('kustomize', fileOf('deploy/kubernetes/base')))
      if (/Account|Role/.test(object.kind)) await apply(object)
    const asked = await kube.must('POST', `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/fetchway/token`, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { expirationSeconds: 3600 },
    })
    token = asked.status.token
    const api = await apiOf()
    const { signal } = new AbortController()
    for (const kind of ['pods', 'services', 'endpoints'])
      await api.list({ path: `/api/v1/namespaces/${NAMESPACE}/${kind}`, selector: '' }, signal)
    for (const path of ['/api/v1/namespaces/default/pods', `/api/v1/namespaces/${NAMESPACE}/secrets`])
      await assert.rejects(api.list({ path, selector: '' }, signal), /403 .*must be allowed/)
  })
})

async function apiOf(): Promise<KubeApi> {
  const config = { kubernetesApi: kube.url, kubernetesCa: kube.ca, kubernetesToken: token }
  return new KubeApi(await findAccess(configSchema.parse(config), createOutside()))
}

describe('a real watch', () => {
  const pods = { path: PODS, selector: '' }
  const { signal } = new AbortController()
  const watching = { signal, heard: () => {} }

  it('brings bookmarks, and ends when its time is over', async () => {
    const types: (string | undefined)[] = []
    for await (const { type } of (await apiOf()).watch(pods, { version: '1', seconds: 5 }, watching))
      types.push(type)
    assert.ok(types.includes('BOOKMARK'), types.join())
  })

  it('is told that its version is gone when the server begins anew', async () => {
    await kube.restart()
    const events: Json[] = []
    try {
      for await (const event of (await apiOf()).watch(pods, { version: '1', seconds: 5 }, watching))
        events.push(event)
    } catch (error) {
      events.push({ type: 'ERROR', object: { code: (error as { status?: number }).status } })
    }
    assert.deepEqual([events.at(-1)?.type, events.at(-1)?.object?.code], ['ERROR', 410])
  })
})

describe('real pods', () => {
  const labels = { 'app.kubernetes.io/component': 'engine' }
  const make = (name: string, url: string | undefined) =>
    kube.must('POST', PODS, {
      metadata: { name, labels },
      spec: {
        // Without a kubelet only a pod that has a node ends in two steps.
        nodeName: 'node-1',
        terminationGracePeriodSeconds: 600,
        containers: [
          {
            name: 'engine',
            image: 'engine',
            ports: [{ name: 'http', containerPort: Number(new URL(url ?? '').port) }],
          },
        ],
      },
    })
  const state = (name: string, ready: boolean, more: object = {}) =>
    kube.must(
      'PATCH',
      `${PODS}/${name}/status`,
      {
        status: {
          phase: 'Running',
          podIP: '127.0.0.1',
          podIPs: [{ ip: '127.0.0.1' }],
          conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
          ...more,
        },
      },
      MERGE,
    )

  it('come, serve, drain and go', async (t) => {
    const engines = await listenAll({ [W1]: engine(), [W2]: engine() })
    const file = join(kube.directory, 'token')
    await writeFile(file, token)
    const server = ['--kubernetes-api', kube.url, '--kubernetes-ca', kube.ca, '--kubernetes-token-file', file]
    const selector = [
      '--kubernetes-selector',
      'app.kubernetes.io/component=engine',
      '--kubernetes-port',
      'http',
    ]
    const flags = ['--port', '0', '--discover', 'kubernetes', '--kubernetes-namespace', NAMESPACE]
    const start = { name: 'node', args: [fileOf('adapters/node.js')] }
    const own = [...flags, ...server, ...selector, '--log-level', 'warn']
    const env = { FETCHWAY_STATE: 'off' }
    const router = await new Running(start, own, { directory: kube.directory, env }).listens()
    t.after(() => router.child.kill('SIGKILL'))
    const until = (title: string, isSo: (all: Json[]) => boolean) =>
      eventually(
        async () => isSo((await router.ask(WORKERS)).body.data),
        () => `${title}: ${router.errors}`,
      )

    await make('a', engines.get(W1))
    await make('b', engines.get(W2))
    await state('a', true)
    await state('b', false)
    await until('only the ready one', (all) => all.length === 1 && all[0].known)
    assert.equal((await router.ask(CHAT, chat())).status, 200)
    await state('b', true)
    await until('both', (all) => all.length === 2)
    await state('b', false)
    await until('not ready: drained', (all) => all.filter(({ draining }) => draining).length === 1)
    await state('b', true)
    await until('ready again', (all) => all.every(({ draining }) => !draining))

    // Its label goes: for the server's filter that is a DELETED.
    await kube.must(
      'PATCH',
      `${PODS}/b`,
      { metadata: { labels: { 'app.kubernetes.io/component': 'other' } } },
      MERGE,
    )
    await until('another label', (all) => all.length === 1)
    await kube.must('PATCH', `${PODS}/b`, { metadata: { labels } }, MERGE)
    await until('its label again', (all) => all.length === 2)

    await kube.must('DELETE', `${PODS}/a`)
    await until('terminating', (all) => all.length === 2 && all.some(({ draining }) => draining))
    await kube.must('DELETE', `${PODS}/a?gracePeriodSeconds=0`)
    await until('gone', (all) => all.length === 1)
    const before = (await router.ask(WORKERS)).body.data[0].id
    await kube.must('DELETE', `${PODS}/b?gracePeriodSeconds=0`)
    await make('b', engines.get(W2))
    await state('b', true)
    await until('a new pod with its address', (all) => all.length === 1 && all[0].id !== before)

    const { body } = await router.ask('/fetchway/v1/discovery')
    assert.deepEqual([body.data[0].workers, body.data[0].problem], [1, null])
    assert.equal(await router.stop(), 0)
  })
})

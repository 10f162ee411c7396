import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { configSchema, type ConfigInput } from '../../../src/config/schema.ts'
import { findAccess } from '../../../src/discovery/kubernetes/access.ts'
import type { Outside, OutsideTls } from '../../../src/host.ts'

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'
const POD = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' }

interface Request {
  readonly url: string
  readonly authorization: string | undefined
  readonly tls: OutsideTls
}

/** A machine with an environment and files (kubeconfigs as JSON); what is sent from it is noted. */
function machine(env: Record<string, string>, files: Record<string, string>) {
  const sent: Request[] = []
  const outside: Outside = {
    fetch: async (url, { headers, tls }) => {
      sent.push({ url, authorization: headers['authorization'], tls })
      return new Response('{}')
    },
    env: (name) => env[name],
    files: {
      read: async (path) => files[path] ?? Promise.reject(new Error('ENOENT')),
      parseYaml: async (text) => JSON.parse(text) as unknown,
    },
  }
  const find = (config: ConfigInput = {}) => findAccess(configSchema.parse(config), outside)
  const ask = async (config: ConfigInput = {}) => {
    const access = await find(config)
    await access.get('/api/v1/pods?limit=1', new AbortController().signal)
    return { access, request: sent.at(-1) }
  }
  return { sent, find, ask, files }
}

const kubeconfig = (user: object, cluster: object = {}, context: object = {}) =>
  JSON.stringify({
    'current-context': 'here',
    contexts: [
      { name: 'here', context: { cluster: 'c', user: 'u', ...context } },
      { name: 'there', context: { cluster: 'c2', user: 'u', namespace: 'far' } },
    ],
    clusters: [
      { name: 'c', cluster: { server: 'https://kube:6443', ...cluster } },
      { name: 'c2', cluster: { server: 'https://far:6443/base/' } },
    ],
    users: [{ name: 'u', user }],
  })

describe('in a pod', () => {
  const files = {
    [`${ACCOUNT}/token`]: 'first\n',
    [`${ACCOUNT}/ca.crt`]: 'PEM',
    [`${ACCOUNT}/namespace`]: 'models',
  }

  it('the service account opens the API server of the cluster', async () => {
    const { access, request } = await machine(POD, files).ask()
    assert.deepEqual(request, {
      url: 'https://10.96.0.1:443/api/v1/pods?limit=1',
      authorization: 'Bearer first',
      tls: { ca: 'PEM' },
    })
    assert.equal(access.namespace, 'models')
  })

  it('token and authority are read anew for each request', async () => {
    const { find, sent, files: changing } = machine(POD, { ...files })
    const access = await find()
    const { signal } = new AbortController()
    await access.get('/a', signal)
    changing[`${ACCOUNT}/token`] = 'second'
    changing[`${ACCOUNT}/ca.crt`] = 'NEW'
    await access.get('/b', signal)
    assert.deepEqual(
      sent.map(({ authorization, tls }) => [authorization, tls.ca]),
      [
        ['Bearer first', 'PEM'],
        ['Bearer second', 'NEW'],
      ],
    )
  })

  it('an IPv6 address is put into brackets', async () => {
    const { access } = await machine({ ...POD, KUBERNETES_SERVICE_HOST: 'fd00::1' }, files).ask()
    assert.equal(access.url, 'https://[fd00::1]:443')
  })

  it('without a token it is said where that should be', async () => {
    await assert.rejects(machine(POD, {}).find(), /no service account token.*automountServiceAccountToken/)
  })

  it('a kubeconfig that is named comes first', async () => {
    const { access } = await machine({ ...POD, KUBECONFIG: '/k' }, { ...files, '/k': kubeconfig({}) }).ask()
    assert.equal(access.url, 'https://kube:6443')
  })
})

describe('a kubeconfig', () => {
  const at = (user: object, cluster: object = {}, context: object = {}) =>
    machine(
      {},
      { '/etc/k/config': kubeconfig(user, cluster, context), '/etc/k/t': 'from-file', '/etc/k/ca': 'CA' },
    )
  const config = { kubeconfig: '/etc/k/config' }

  const ways: readonly [string, object, object, Omit<Request, 'url'>][] = [
    ['a token', { token: 't' }, {}, { authorization: 'Bearer t', tls: {} }],
    [
      'a token file beside it',
      { tokenFile: 't', token: 'old' },
      {},
      { authorization: 'Bearer from-file', tls: {} },
    ],
    [
      'a client certificate in it',
      { 'client-certificate-data': btoa('CERT'), 'client-key-data': btoa('KEY') },
      { 'certificate-authority-data': btoa('CA') },
      { authorization: undefined, tls: { ca: 'CA', cert: 'CERT', key: 'KEY' } },
    ],
    [
      'files and another name',
      { token: 't' },
      { 'certificate-authority': 'ca', 'tls-server-name': 'kube.local' },
      { authorization: 'Bearer t', tls: { ca: 'CA', serverName: 'kube.local' } },
    ],
    [
      'no check',
      {},
      { 'insecure-skip-tls-verify': true },
      { authorization: undefined, tls: { isUnchecked: true } },
    ],
  ]
  for (const [title, user, cluster, expected] of ways)
    it(`opens the API server by ${title}`, async () => {
      const { request, access } = await at(user, cluster).ask(config)
      assert.deepEqual(request, { url: 'https://kube:6443/api/v1/pods?limit=1', ...expected })
      assert.equal(access.namespace, 'default')
    })

  const refusals: readonly [string, object, RegExp][] = [
    ['a program', { exec: { command: 'aws' } }, /"u" of the kubeconfig gets its credentials from a program/],
    ['an auth-provider', { 'auth-provider': { name: 'gcp' } }, /has an auth-provider/],
    ['a password', { username: 'me', password: 'secret' }, /user name and password/],
  ]
  for (const [title, user, message] of refusals)
    it(`is refused with ${title}, and never tells a secret`, async () => {
      await assert.rejects(at(user).find(config), (error: Error) => {
        assert.match(error.message, message)
        assert.match(error.message, /give it a token, a tokenFile or a client certificate/)
        assert.doesNotMatch(error.message, /secret|aws/)
        return true
      })
    })

  it('names the namespace of its context; another context is taken by name', async () => {
    assert.equal((await at({}, {}, { namespace: 'models' }).find(config)).namespace, 'models')
    const other = await at({}).find({ ...config, kubeContext: 'there' })
    assert.deepEqual([other.url, other.namespace], ['https://far:6443/base', 'far'])
  })

  it('that lacks what it names says so', async () => {
    await assert.rejects(at({}, {}, { user: 'x' }).find(config), /no user named "x"/)
    await assert.rejects(at({}).find({ ...config, kubeContext: 'x' }), /no context named "x"/)
    await assert.rejects(at({}).find({ kubeconfig: '/none' }), /\/none can not be read/)
    await assert.rejects(at({}, { 'proxy-url': 'http://p' }).find(config), /proxy-url/)
  })

  it('of several files the first that has a name counts', async () => {
    const first = JSON.stringify({
      'current-context': 'here',
      users: [{ name: 'u', user: { token: 'mine' } }],
    })
    const env = { KUBECONFIG: '/none:/first:/second' }
    const { request } = await machine(env, {
      '/first': first,
      '/second': kubeconfig({ token: 'other' }),
    }).ask()
    assert.equal(request?.authorization, 'Bearer mine')
  })

  it('at home is taken last', async () => {
    const { access } = await machine({ HOME: '/me' }, { '/me/.kube/config': kubeconfig({}) }).ask()
    assert.equal(access.url, 'https://kube:6443')
  })
})

describe('the configuration itself', () => {
  it('names server, token and authority', async () => {
    const config = { kubernetesApi: 'https://api/', kubernetesTokenFile: '/t', kubernetesCa: '/ca' }
    const { request } = await machine({}, { '/t': 'x', '/ca': 'PEM' }).ask(config)
    assert.deepEqual(request, {
      url: 'https://api/api/v1/pods?limit=1',
      authorization: 'Bearer x',
      tls: { ca: 'PEM' },
    })
  })

  it('that names nothing is told what to set', async () => {
    await assert.rejects(machine({}, {}).find(), /no Kubernetes API server is known.*Set kubeconfig/)
  })

  it('is of no use where a runtime lends nothing', async () => {
    await assert.rejects(findAccess(configSchema.parse({}), undefined), /can not reach/)
  })
})

// A real kube-apiserver over a real etcd, both on this machine alone and for one test.
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../journeys/_sockets.ts'
import { CACHE } from './build.ts'

const ADMIN = 'admin-token'
const START_TIME = 120_000

// oxlint-disable-next-line typescript/no-explicit-any -- answers of the server are looked into freely
export type Json = any

export interface KubeServer {
  readonly url: string
  /** PEM file of its own authority. */
  readonly ca: string
  readonly directory: string
  /** A request as the administrator. */
  ask(method: string, path: string, body?: unknown, type?: string): Promise<{ status: number; body: Json }>
  /** The same, which must succeed. */
  must(method: string, path: string, body?: unknown, type?: string): Promise<Json>
  /** Ends the API server and starts it over the same objects. */
  restart(): Promise<void>
  stop(): Promise<void>
}

/** Starts both and waits until the server is ready. */
export async function startKube(): Promise<KubeServer> {
  const directory = await mkdtemp(join(tmpdir(), 'fetchway-kube-'))
  const [client, peer, port] = [await freePort(), await freePort(), await freePort()]
  const etcd = start('etcd', directory, [
    `--data-dir=${directory}/etcd`,
    `--listen-client-urls=http://127.0.0.1:${client}`,
    `--advertise-client-urls=http://127.0.0.1:${client}`,
    `--listen-peer-urls=http://127.0.0.1:${peer}`,
    `--initial-advertise-peer-urls=http://127.0.0.1:${peer}`,
    `--initial-cluster=default=http://127.0.0.1:${peer}`,
    '--log-level=error',
  ])
  await writeKeys(directory)
  const flags = [
    `--etcd-servers=http://127.0.0.1:${client}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    `--cert-dir=${directory}/certs`,
    `--token-auth-file=${directory}/tokens.csv`,
    `--service-account-key-file=${directory}/accounts.pub`,
    `--service-account-signing-key-file=${directory}/accounts.key`,
    '--service-account-issuer=https://kubernetes.default.svc',
    '--service-cluster-ip-range=10.96.0.0/24',
    '--endpoint-reconciler-type=none',
    '--authorization-mode=RBAC',
    // Nobody makes the default accounts of namespaces here.
    '--disable-admission-plugins=ServiceAccount',
  ]
  let server = start('kube-apiserver', directory, flags)
  const url = `https://127.0.0.1:${port}`
  const ca = join(directory, 'certs/apiserver.crt')
  const ask: KubeServer['ask'] = async (method, path, body, type = 'application/json') =>
    send(`${url}${path}`, { method, ca: await readFile(ca, 'utf8'), type }, body)
  const must: KubeServer['must'] = async (method, path, body, type) => {
    const answer = await ask(method, path, body, type)
    assert.ok(answer.status < 300, `${method} ${path}: ${JSON.stringify(answer.body)}`)
    return answer.body
  }
  const stop = async () => {
    await end(server)
    await end(etcd)
    await rm(directory, { recursive: true, force: true })
  }
  const ready = () => untilReady(server, async () => (await ask('GET', '/readyz')).status === 200, directory)
  const restart = async () => {
    await end(server)
    server = start('kube-apiserver', directory, flags)
    await ready()
  }
  await ready()
  return { url, ca, directory, ask, must, restart, stop }
}

function start(name: string, directory: string, flags: readonly string[]): ChildProcess {
  const child = spawn(join(CACHE, name), flags, { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr?.on('data', (text: Buffer) => (said = (said + String(text)).slice(-4000)))
  child.once('exit', (code) => {
    if (code) console.error(`${name} ended with ${code}:\n${said}`)
  })
  return child
}

async function end(child: ChildProcess): Promise<void> {
  child.kill('SIGTERM')
  if (child.exitCode === null) await once(child, 'exit')
}

async function writeKeys(directory: string): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const [key, open] = [
    privateKey.export({ type: 'pkcs1', format: 'pem' }),
    publicKey.export({ type: 'spki', format: 'pem' }),
  ]
  await writeFile(join(directory, 'accounts.key'), key)
  await writeFile(join(directory, 'accounts.pub'), open)
  await writeFile(join(directory, 'tokens.csv'), `${ADMIN},admin,admin,system:masters\n`)
}

async function untilReady(
  server: ChildProcess,
  isReady: () => Promise<boolean>,
  where: string,
): Promise<void> {
  const deadline = performance.now() + START_TIME
  while (!(await isReady().catch(() => false))) {
    if (server.exitCode !== null || performance.now() > deadline)
      assert.fail(`the API server did not get ready (${where})`)
    await sleep(250)
  }
}

function send(
  url: string,
  { method, ca, type }: { method: string; ca: string; type: string },
  body: unknown,
): Promise<{ status: number; body: Json }> {
  const headers = { authorization: `Bearer ${ADMIN}`, 'content-type': type, accept: 'application/json' }
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, ca, headers, agent: false }, (answer) => {
      let text = ''
      answer.setEncoding('utf8')
      answer.on('data', (part: string) => (text += part))
      answer.on('end', () => {
        const isJson = answer.headers['content-type']?.includes('json') ?? false
        resolve({ status: answer.statusCode ?? 0, body: isJson ? JSON.parse(text) : text })
      })
    })
    sent.on('error', reject)
    sent.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body))
  })
}

// Runs inside Deno or Bun: opens and closes routers as the journeys ask, one JSON line each way.
import process from 'node:process'
import { createInterface } from 'node:readline'
import type { Listener, Platform } from '../../adapters/web/serve.ts'
import { createApp, type App } from '../../src/app.ts'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'

/** What the test process asks for. */
export type Wish =
  | { readonly id: number; readonly kind: 'open'; readonly config: ConfigInput }
  | { readonly id: number; readonly kind: 'reload'; readonly router: number; readonly config: ConfigInput }
  | { readonly id: number; readonly kind: 'drain' | 'close'; readonly router: number }

/** What it hears; `unseen` counts failures that nobody saw coming: rejections without a handler, handlers that threw. */
export interface Told {
  readonly id: number
  readonly url?: string
  readonly error?: string
  readonly unseen: number
}

interface Router {
  readonly app: App
  readonly front: Listener
  close(): void
}

const platform: Platform =
  'Deno' in globalThis
    ? (await import('../../adapters/deno/platform.ts')).denoPlatform
    : (await import('../../adapters/bun/platform.ts')).bunPlatform
const routers = new Map<number, Router>()
let unseen = 0
const fail = (error: unknown) => {
  unseen++
  process.stderr.write(`Nobody saw ${error instanceof Error ? error.stack : String(error)}\n`)
}
process.on('unhandledRejection', fail)

async function fulfil(wish: Wish): Promise<{ url?: string }> {
  if (wish.kind === 'open') return open(wish.id, wish.config)
  const router = routers.get(wish.router)
  if (!router) throw new Error('there is no such router')
  if (wish.kind === 'drain') router.app.drain()
  else if (wish.kind === 'reload') await router.app.reload(configSchema.parse(wish.config))
  else {
    await router.front.close(0)
    await router.app.close()
    router.close()
  }
  return {}
}

async function open(id: number, input: ConfigInput): Promise<{ url: string }> {
  const config = configSchema.parse(input)
  const host = platform.host(config, () => undefined)
  const app = createApp(config, host)
  await app.start()
  await host.registry('main').settled()
  const front = await platform.listen((request) => app.fetch(request), {
    host: '127.0.0.1',
    port: 0,
    maxHeader: config.maxHeader,
    maxBody: config.maxBody,
    onError: fail,
  })
  routers.set(id, { app, front, close: () => host.close() })
  return { url: front.url }
}

const tell = (told: Omit<Told, 'unseen'>) => process.stdout.write(`${JSON.stringify({ ...told, unseen })}\n`)

createInterface({ input: process.stdin }).on('line', (line) => {
  const wish = JSON.parse(line) as Wish
  fulfil(wish).then(
    (told) => tell({ id: wish.id, ...told }),
    (error: unknown) => tell({ id: wish.id, error: String(error) }),
  )
})
// A test process that dies must not leave us behind.
process.stdin.on('end', () => process.exit(0))

// The part of Deno that the adapter uses, so that the types of a whole runtime are not a dependency.
import type { NearSocket } from '../../src/tunnel/socket.ts'
import type { KeyValueStore } from '../web/storage.ts'

export type DenoAddress =
  | { readonly transport: 'tcp'; readonly hostname: string; readonly port: number }
  | { readonly transport: 'unix'; readonly path: string }

/** `completed` resolves when the response is wholly sent. */
export type DenoHandler = (request: Request, info: { readonly completed: Promise<void> }) => Promise<Response>

export interface DenoSocket extends NearSocket {
  onopen: (() => void) | null
  onmessage: ((event: MessageEvent) => void) | null
  onclose: ((event: CloseEvent) => void) | null
  binaryType: BinaryType
}

export interface DenoRuntime {
  readonly args: readonly string[]
  readonly env: { get(name: string): string | undefined; toObject(): Record<string, string> }
  readonly permissions: { querySync(asked: { name: 'env' }): { readonly state: string } }
  upgradeWebSocket(
    request: Request,
    options: { idleTimeout: number },
  ): { readonly socket: DenoSocket; readonly response: Response }
  /** Only with --unstable-kv. */
  readonly openKv?: () => Promise<KeyValueStore>
}

declare const Deno: DenoRuntime

export const runtime: DenoRuntime = Deno

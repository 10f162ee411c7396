// The part of Bun that the adapter uses, so that the types of a whole runtime are not a dependency.
import type { FarSocket, Message, NearSocket } from '../../src/tunnel/socket.ts'

/** What a client's WebSocket carries along. */
export interface Joined {
  readonly far: FarSocket
}

export interface BunSocket extends NearSocket {
  readonly data: Joined
}

export interface BunServer {
  readonly hostname?: string
  readonly port?: number
  /** `true` ends what is left, too. */
  stop(endsAll: boolean): Promise<void>
  /** Idle limit of that request's connection from now on; 0: none. */
  timeout(request: Request, seconds: number): void
  upgrade(request: Request, options: { data: Joined; headers?: Record<string, string> }): boolean
}

export interface BunServeOptions {
  readonly hostname?: string
  readonly port?: number
  readonly unix?: string
  readonly tls?: { readonly cert: string; readonly key: string }
  /** Seconds; 0: never. */
  readonly idleTimeout: number
  readonly maxRequestBodySize: number
  readonly development: boolean
  readonly reusePort?: boolean
  readonly fetch: (request: Request, server: BunServer) => Promise<Response | undefined>
  readonly error: (error: unknown) => Response
  readonly websocket: {
    readonly idleTimeout: number
    readonly maxPayloadLength: number
    open(socket: BunSocket): void
    message(socket: BunSocket, message: Message): void
    close(socket: BunSocket, code: number, reason: string): void
  }
}

export interface BunRuntime {
  serve(options: BunServeOptions): BunServer
}

declare const Bun: BunRuntime

export const runtime: BunRuntime = Bun

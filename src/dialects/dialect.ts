// Another router's surface: its command line, its endpoints and its habits. At most one is active in a process.
import type { Plan, RefusalValue } from '../actors/ask.ts'
import type { Environment } from '../config/environment.ts'
import type { ParsedFile } from '../config/tree.ts'
import type { PoolView } from '../actors/pool-view.ts'
import type { Admitted } from '../admission/admit.ts'
import type { Core } from '../core.ts'
import type { Ending, Passing } from '../forward/closing.ts'
import type { HeaderList, UpstreamFailure } from '../host.ts'
import type { Reading } from '../metrics/reading.ts'
import type { Call } from '../openai/call.ts'
import type { SourceStatus } from '../discovery/source.ts'
import type { GivenFlag } from './flag.ts'
import type { DialectFlag } from './flag.ts'

/** What a command line of that router means here. */
export interface Translation {
  /** Keys of the configuration as they would stand in a file, with the flag or variable that set each. */
  readonly config: ReadonlyMap<string, GivenFlag>
  /** Flags by the keys that they set, given or not: what is wrong with a key is told of its flag. */
  readonly flagOf?: ReadonlyMap<string, string>
  /** What its endpoints and habits depend on besides, as plain values; becomes `dialectOptions`. */
  readonly options?: Readonly<Record<string, unknown>>
  /** Said once at the start: flags that have no effect here and why, doors that stand open as theirs do. */
  readonly notes?: readonly string[]
  /** What is wrong, in the program's own words where it has some. */
  readonly problems?: readonly string[]
  /** Workers that are started beside the router. */
  readonly launch?: Launch
  /** Files that are looked at while the router runs: when one changes, all is read anew. */
  readonly watched?: readonly string[]
}

/** Workers that one command starts together with the router, and ends with it. */
export interface Launch {
  /** The program and its first arguments. */
  readonly command: readonly string[]
  /** What each worker gets besides. */
  readonly argv: readonly string[]
  readonly count: number
  /** Where they listen: this address, the first free ports from this one on. */
  readonly host: string
  readonly basePort: number
  /** GPUs of each: the n-th begins at n times as many. */
  readonly gpusEach: number
  /** How long each may take to come up. */
  readonly seconds: number
}

/** What a translation goes by besides the arguments. */
export interface Circumstances {
  /** The process's environment over that of the dialect's `.env` files. */
  readonly environment: Environment
  /** `release`: the defaults of the program's current release in place of its README's. */
  readonly defaults: 'readme' | 'release'
  /** Bugs that a client could depend on are kept. */
  readonly isStrict: boolean
  /** The text of a file that a flag names; null when there is none. */
  readFile(name: string): Promise<string | null>
  /** YAML or JSON with its lines; absent: such files are not read here. */
  parse?(name: string, text: string): ParsedFile
}

/** How it answers. All parts are optional: what is missing stays as it is natively. */
export interface Surface {
  /** Sees each request first: as it is to be taken. */
  enter?(request: Request): Request
  /** Looked up before anything native; undefined: not its own. `path` is without the query. */
  answer?(core: Core, request: Request, path: string): Promise<Response | undefined> | Response | undefined
  /** What nothing native answers either. */
  fallback?(core: Core, request: Request, path: string): Promise<Response>
  /** A refusal of ours in its words; undefined: in ours. */
  refuse?(refusal: RefusalValue, at: RefusedAt, core: Core): Response | undefined
  /** Sees each answer last: headers that it adds or leaves out. */
  finish?(response: Response, request: Request, core: Core): Response
  /** Sees each call before it is let in: throws a `Refusal`, or returns the call as it is to be taken. */
  hear?(call: Call, request: Request, core: Core): Call | Promise<Call>
  /** Headers that the answer of a worker carries besides. */
  mark?(plan: Plan): HeaderList
  /** A refusal of one of the two engines of a pair in its words, as JSON; undefined: as the engine said it. */
  retell?(refused: Retold, core: Core): object | undefined
  /** Header of an answer that carries the request's id; default: the first of `requestIdHeaders`. */
  readonly idName?: string
  /** An id for a request whose client gave none; default: ours. */
  makeId?(core: Pick<Core, 'host'>): string
  /** Metrics under its own names, beside ours. `withUrls`: whoever reads them may see where workers are; `sources`: of discovery. */
  read?(core: Core, view: PoolView, withUrls: boolean, sources?: readonly SourceStatus[]): Reading
  /** Counts for metrics of its own. */
  count?(happened: Happened, core: Core): void
  /** Where calls are between their beginning and their end. */
  follow?(step: Step, core: Core): void
  /** The router begins: what is done by the clock from now on. Not where a runtime keeps no time between requests. */
  start?(core: Core): void
}

/**
 * Where a call is: on its way to a worker (again at each attempt; its body is looked at then or never), its first token has come, or
 * it is over, however it ended (maybe told twice).
 */
export type Step =
  | { readonly kind: 'sent'; readonly admitted: Admitted; readonly plan: Plan }
  | { readonly kind: 'first'; readonly id: string; readonly at: number }
  | { readonly kind: 'over'; readonly id: string }

/** What happens to calls: an attempt failed before its first byte (or with a status that is retried), or an answer ended. */
export type Happened =
  | {
      readonly kind: 'failed'
      /** Of the call. */
      readonly id: string
      readonly url: string
      readonly failure: UpstreamFailure['kind'] | 'status'
      /** Where that is `status`. */
      readonly status?: number
    }
  | { readonly kind: 'ended'; readonly passing: Passing; readonly ending: Ending }

/** What an engine of a pair refused with. */
export interface Retold {
  readonly leg: 'prefill' | 'decode'
  readonly status: number
  readonly text: string
}

export interface RefusedAt {
  readonly path: string
  readonly method: string
  readonly requestId: string | undefined
  /** Of an inference call that was read. */
  readonly model?: string | null
  /** Content-Type of the request, where it is known. */
  readonly type?: string | null
}

export interface Dialect {
  /** As in `fetchway as NAME`. */
  readonly name: string
  /** One line for the help. */
  readonly about: string
  /** Words that may stand first, as sub-commands of the program: skipped. */
  readonly commands?: readonly string[]
  /** Another program of the same name that these arguments are of. */
  meant?(argv: readonly string[]): string | undefined
  /** `.env` files that it reads, the strongest first. */
  readonly dotenv?: readonly string[]
  /** Its flags; some programs have other ones by what the arguments say. */
  flags(argv: readonly string[]): readonly DialectFlag[]
  translate(argv: readonly string[], circumstances: Circumstances): Translation | Promise<Translation>
  surface(options: Readonly<Record<string, unknown>>): Surface
}

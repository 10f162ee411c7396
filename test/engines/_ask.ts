// Askers for the engine tests: an embedded engine, recorded answers of a real one, or answers written by hand.
import { readFileSync } from 'node:fs'
import type { AskWorker, WorkerReply } from '../../src/engines/engine.ts'
import { createEngine, type EngineOptions } from '../../src/simulator/engine.ts'

export interface Asker {
  readonly ask: AskWorker
  /** Paths that were asked, in order. */
  readonly asked: string[]
}

export function askerOf(answer: (path: string) => Promise<WorkerReply | null> | WorkerReply | null): Asker {
  const asked: string[] = []
  return {
    asked,
    ask: async (_method, path) => {
      asked.push(path)
      return answer(path)
    },
  }
}

export function simulated(options: EngineOptions): Asker {
  const engine = createEngine({ speed: 0, ...options })
  return askerOf(async (path) => {
    const response = await engine.fetch(new Request(`http://engine${path}`))
    return { status: response.status, headers: {}, text: await response.text() }
  })
}

/** Answers by path; strings are 200 texts, other values 200 JSON, what is missing is 404. */
export function written(answers: Readonly<Record<string, unknown>>): Asker {
  return askerOf((path) => {
    if (!(path in answers)) return { status: 404, headers: {}, text: '{"detail":"Not Found"}' }
    const answer = answers[path]
    return { status: 200, headers: {}, text: typeof answer === 'string' ? answer : JSON.stringify(answer) }
  })
}

/** The recorded body of a real vLLM. */
export function recordedBody(name: string): string {
  const url = new URL(`../recordings/vllm/${name}.json`, import.meta.url)
  return (JSON.parse(readFileSync(url, 'utf8')) as { body: string }).body
}

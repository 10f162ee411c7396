// Runs the program as people do, in a process of its own.
import { spawn, type ChildProcess } from 'node:child_process'

const PROGRAM = new URL('../../../adapters/node.js', import.meta.url).pathname

export class Program {
  output = ''
  readonly ended: Promise<number | null>
  readonly #child: ChildProcess
  readonly #waiting = new Set<() => void>()

  constructor(argv: readonly string[], cwd: string, more: Readonly<Record<string, string>> = {}) {
    const env = { PATH: process.env['PATH'] ?? '', ...more }
    this.#child = spawn(process.execPath, [PROGRAM, ...argv], { cwd, env })
    const onChunk = (chunk: Buffer) => {
      this.output += chunk.toString()
      for (const look of this.#waiting) look()
    }
    this.#child.stdout?.on('data', onChunk)
    this.#child.stderr?.on('data', onChunk)
    this.ended = new Promise((resolve) => {
      this.#child.once('close', (status) => {
        resolve(status)
        for (const look of this.#waiting) look()
      })
    })
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** Resolves with the match once the output has it; rejects when the program ended without. */
  says(pattern: RegExp): Promise<RegExpMatchArray> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const match = pattern.exec(this.output)
        if (!match && this.#child.exitCode === null && this.#child.signalCode === null) return
        this.#waiting.delete(look)
        if (match) resolve(match)
        else reject(new Error(`ended without ${pattern}: ${this.output}`))
      }
      this.#waiting.add(look)
      look()
    })
  }
}

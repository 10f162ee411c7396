// The kernel by WebAssembly: kernel.wat on memory of its own, into which texts are copied (3 µs for 128 KB).
import type { ByteText } from '../openai/words.ts'
import { MAX_BLOCKS, STRIPE } from '../prefix/sizes.ts'
import { useKernel, type Kernel } from './kernel.ts'
import { MODULE } from './module.ts'

/** Where things lie in the memory: see kernel.wat. */
const REST = 64
const FOUND = 128
const MEMBERS = 512
const MOST_MEMBERS = 32
const HASHES = 1024
const BODY = HASHES + 8 * MAX_BLOCKS
/** So many bytes before a text are copied sooner than a view without them is made. */
const LITTLE = 1024

/** Of all kernels of this thread. */
let copies = 0

interface Loops {
  readonly memory: WebAssembly.Memory
  skip(at: number, end: number): number
  scan(at: number, end: number): number
  stop(at: number, end: number): number
  find(at: number, end: number, limit: number): number
  blocks(at: number, stripes: number, count: number): void
}

/** Installs the kernel for this thread, where the runtime compiles modules that have SIMD. */
export function installKernel(): void {
  useKernel(makeKernel())
}

/** Null: this runtime doesn't take it. */
export function makeKernel(): Kernel | null {
  try {
    const bytes = Uint8Array.from(atob(MODULE), (char) => char.charCodeAt(0))
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes))
    return new WasmKernel(exports as unknown as Loops)
  } catch {
    // No WebAssembly, none from bytes, no SIMD, or no room for its memory: the loops in TypeScript do the same.
    return null
  }
}

class WasmKernel implements Kernel {
  close = 0
  keyStart = 0
  keyEnd = 0
  plain = 0
  readonly lanes: Int32Array
  readonly rest: Uint8Array
  readonly hashes: Float64Array
  readonly #loops: Loops
  readonly #bytes: Uint8Array
  readonly #found: Int32Array
  readonly #members: Int32Array
  /** Which copy of a text lies here, from where on, and what leads from its positions to those in memory. */
  #copy = -1
  #from = 0
  #shift = 0

  constructor(loops: Loops) {
    const { buffer } = loops.memory
    this.#loops = loops
    this.#bytes = new Uint8Array(buffer)
    this.#found = new Int32Array(buffer, FOUND, 6)
    this.#members = new Int32Array(buffer, MEMBERS, 4 * MOST_MEMBERS)
    this.lanes = new Int32Array(buffer, 0, 16)
    this.rest = new Uint8Array(buffer, REST, STRIPE)
    this.hashes = new Float64Array(buffer, HASHES, MAX_BLOCKS)
  }

  load(text: ByteText, from: number): void {
    if (text.copy === this.#copy && this.#from <= from) return
    const { bytes, end } = text
    const start = from < LITTLE ? 0 : from
    this.#bytes.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), BODY)
    // A number, for a text that was kept here would outlive V8's young generation.
    copies = (copies + 1) & 0x3fffffff
    this.#copy = text.copy = copies
    this.#from = start
    this.#shift = BODY - start
  }

  skip(at: number, end: number): number {
    const shift = this.#shift
    const behind = this.#loops.skip(at + shift, end + shift)
    return behind === 0 ? 0 : behind - shift
  }

  scan(at: number, end: number, marks: number[]): number {
    const shift = this.#shift
    const behind = this.#loops.scan(at + shift, end + shift)
    if (behind === 0) return 0
    const members = this.#members
    const size = this.#found[4]! * 4
    for (let i = 0; i < size; i += 4)
      marks.push(
        members[i]! - shift,
        members[i + 1]! - shift,
        members[i + 2]! - shift,
        members[i + 3]! - shift,
      )
    this.plain = this.#found[5]!
    return behind - shift
  }

  stop(at: number, end: number): number {
    return this.#loops.stop(at + this.#shift, end + this.#shift) - this.#shift
  }

  find(at: number, end: number, limit: number): number {
    const shift = this.#shift
    const found = this.#found
    found[1] = this.keyStart + shift
    found[2] = this.keyEnd + shift
    const open = this.#loops.find(at + shift, end + shift, limit + shift) - shift
    this.close = found[0]! - shift
    this.keyStart = found[1] - shift
    this.keyEnd = found[2] - shift
    return open
  }

  mix(at: number, stripes: number): void {
    this.#loops.blocks(at + this.#shift, stripes, 1)
  }

  mixRest(): void {
    this.#loops.blocks(REST, 1, 1)
  }

  mixBlocks(at: number, stripes: number, count: number): void {
    this.#loops.blocks(at + this.#shift, stripes, count)
  }
}

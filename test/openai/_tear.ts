// Tears bytes into chunks, and hands out the streams that a real vLLM sent.
import { readFileSync } from 'node:fs'

/** Chunks of these sizes (at least 1), the last one whatever is left. */
export function tear(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = []
  let at = 0
  for (const size of sizes) {
    if (at >= bytes.length) break
    // Copies: a chunk is a buffer of its own, as it is from a socket.
    chunks.push(bytes.slice(at, at + Math.max(1, size)))
    at += Math.max(1, size)
  }
  if (at < bytes.length) chunks.push(bytes.slice(at))
  return chunks
}

/** The body of a recorded exchange: one text per HTTP chunk of a stream, else the whole. */
export function recorded(name: string): string[] {
  const url = new URL(`../recordings/vllm/${name}.json`, import.meta.url)
  const exchange = JSON.parse(readFileSync(url, 'utf8')) as { chunks?: string[]; body?: string }
  return exchange.chunks ?? [exchange.body ?? '']
}

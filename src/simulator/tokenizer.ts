// A tokenizer without a vocabulary: a token is one to four characters, and its id holds them, so ids turn back into text.
//
// ASCII pieces pack 7 bits a character behind a leading 1 bit (ids 128 … 2^29-1); other bytes pack up to three
// bytes the same way above 2^30. Ids below 128 stay free for control tokens. A piece never reaches over the
// start of a word, so text that is added at the end leaves the tokens before it as they were.

const WIDE = 2 ** 30
const SPACE = 32
const EOS = 2

const isPrintable = (byte: number) => byte > SPACE && byte < 127

/** The token ids of a text, about one for each 3.5 characters of English. */
export function encode(text: string): Uint32Array {
  const bytes = new TextEncoder().encode(text)
  const ids = new Uint32Array(bytes.length)
  let count = 0
  let at = 0
  while (at < bytes.length) {
    const end = pieceEnd(bytes, at)
    const wide = (bytes[at] as number) >= 128
    let id = 1
    for (let i = at; i < end; i++)
      id = wide ? id * 256 + (bytes[i] as number) : id * 128 + (bytes[i] as number)
    ids[count++] = wide ? WIDE + id : id
    at = end
  }
  return ids.slice(0, count)
}

/** Where the piece that starts at `at` ends. */
function pieceEnd(bytes: Uint8Array, at: number): number {
  const first = bytes[at] as number
  if (first >= 128) {
    let end = at + 1
    // Continuation bytes stay with their first byte; a four-byte character takes two tokens, as in real vocabularies.
    while (end < bytes.length && end - at < 3 && ((bytes[end] as number) & 0xc0) === 0x80) end++
    return end
  }
  const opensWord = first === SPACE && at + 1 < bytes.length && isPrintable(bytes[at + 1] as number)
  if (!opensWord && !isPrintable(first)) return at + 1
  let end = at + 1
  while (end < bytes.length && end - at < 4 && isPrintable(bytes[end] as number)) end++
  return end
}

/** The text of token ids. Ids that no text has are written as `<|id|>`, the end-of-sequence token as nothing. */
export function decode(ids: ArrayLike<number>): string {
  const bytes: number[] = []
  for (let i = 0; i < ids.length; i++) appendBytes(bytes, ids[i] as number)
  return new TextDecoder().decode(Uint8Array.from(bytes))
}

/** The bytes of one token. */
export function tokenBytes(id: number): number[] {
  const bytes: number[] = []
  appendBytes(bytes, id)
  return bytes
}

function appendBytes(bytes: number[], id: number): void {
  if (id === EOS) return
  const base = id >= WIDE ? 256 : 128
  const unpacked: number[] = []
  let rest = id >= WIDE ? id - WIDE : id
  for (; rest >= base; rest = Math.floor(rest / base)) unpacked.unshift(rest % base)
  if (rest === 1 && unpacked.length > 0 && unpacked.length < 5) bytes.push(...unpacked)
  else bytes.push(...new TextEncoder().encode(`<|${id}|>`))
}

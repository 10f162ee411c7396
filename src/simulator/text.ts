// What the simulated model says: each token follows from the text before it, so the same prompt always gets the
// same answer, on every engine, and an answer that was cut off goes on exactly where it stopped.

const WORDS = (
  'the cat sat and ran far for six new men who had one big red box but its old key was lost near our own warm bay sun ' +
  'sky sea map car bus van dog fox owl hen cow pig ant bee cup pan pot jar hat bag pen ink oil ice air day way row set top'
)
  .split(' ')
  .filter((word) => word.length === 3)

/** Where the model is in its text. */
export interface TextState {
  readonly hash: number
  /** The character before. */
  readonly last: string
}

/** The state after reading a text (FNV-1a over its UTF-16 units). `salt` sets apart seeds and choices. */
export function readText(text: string, salt = 0): TextState {
  return advance({ hash: 0x811c9dc5 ^ salt, last: '' }, text)
}

function advance(state: TextState, text: string): TextState {
  let hash = state.hash
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return { hash, last: text.at(-1) ?? state.last }
}

/** Spreads a state over all 32 bits (the finaliser of MurmurHash3). */
export function spread(hash: number): number {
  let x = hash ^ (hash >>> 16)
  x = Math.imul(x, 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return (x ^ (x >>> 16)) >>> 0
}

/** The next token and the state behind it. Every word has three letters: one token with the space before it. */
export function nextPiece(state: TextState): { piece: string; state: TextState } {
  const chance = spread(state.hash)
  const endsSentence = chance % 11 === 0 && /[a-z]/.test(state.last)
  const piece = endsSentence ? '.' : wordAfter(state.last, WORDS[(chance >>> 8) % WORDS.length] as string)
  return { piece, state: advance(state, piece) }
}

function wordAfter(last: string, word: string): string {
  const opens = last === '' || last === '.' || last === '\n'
  const cased = opens ? word.charAt(0).toUpperCase() + word.slice(1) : word
  return last === '' || /\s/.test(last) ? cased : ` ${cased}`
}

/** How long an answer is when nobody says: 16 to 64 tokens. */
export function usualLength(state: TextState): number {
  return 16 + (spread(state.hash ^ 0x5bd1e995) % 49)
}

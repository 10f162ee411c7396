// A guess of a prompt's length before anyone has tokenised it.

/** Tokens in so many bytes of request body: four bytes each, the common rule of thumb for English. At least 1. */
export function guessTokens(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / 4))
}

// JSON Web Tokens by an issuer's published keys (RFC 7515, 7517, 7519), verified with WebCrypto.

/** What a token must be. */
export interface JwtRules {
  readonly issuer: string
  /** undefined: any. */
  readonly audience: string | undefined
}

/** A public key of a JWKS as it is published. */
export type PublishedKey = JsonWebKey & { readonly kid?: string }

/** Claims of a token whose signature and times are good; else why it is not let in. */
export type Verified =
  | { readonly claims: Readonly<Record<string, unknown>> }
  | {
      readonly problem:
        | 'malformed'
        | 'unknown_key'
        | 'bad_signature'
        | 'expired'
        | 'wrong_issuer'
        | 'wrong_audience'
    }

/** Seconds that clocks may differ by. */
const LEEWAY = 60

interface Algorithm {
  readonly kty: string
  readonly key: { readonly name: string; readonly hash?: string; readonly namedCurve?: string }
  readonly verify: { readonly name: string; readonly hash?: string; readonly saltLength?: number }
}

const rsa = (hash: string): Algorithm => ({
  kty: 'RSA',
  key: { name: 'RSASSA-PKCS1-v1_5', hash },
  verify: { name: 'RSASSA-PKCS1-v1_5' },
})
const pss = (hash: string, saltLength: number): Algorithm => ({
  kty: 'RSA',
  key: { name: 'RSA-PSS', hash },
  verify: { name: 'RSA-PSS', saltLength },
})
const ecdsa = (namedCurve: string, hash: string): Algorithm => ({
  kty: 'EC',
  key: { name: 'ECDSA', namedCurve },
  verify: { name: 'ECDSA', hash },
})

/** Asymmetric ones alone: a shared secret among the published keys would be none. */
const ALGORITHMS: Readonly<Record<string, Algorithm>> = {
  RS256: rsa('SHA-256'),
  RS384: rsa('SHA-384'),
  RS512: rsa('SHA-512'),
  PS256: pss('SHA-256', 32),
  PS384: pss('SHA-384', 48),
  PS512: pss('SHA-512', 64),
  ES256: ecdsa('P-256', 'SHA-256'),
  ES384: ecdsa('P-384', 'SHA-384'),
  EdDSA: { kty: 'OKP', key: { name: 'Ed25519' }, verify: { name: 'Ed25519' } },
}

/** Looks like a token, whatever is in it. */
export const isJwt = (text: string): boolean => /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text)

/**
 * Verifies a token. `keysFor` gives the keys that are published under an id (or all, where the token names none); `now` in ms.
 * Never throws.
 */
export async function verifyJwt(
  token: string,
  rules: JwtRules,
  keysFor: (kid: string | undefined) => Promise<readonly PublishedKey[]>,
  now: number,
): Promise<Verified> {
  const [head = '', body = '', signature = ''] = token.split('.')
  const header = parsed(head)
  const claims = parsed(body)
  const name = header?.['alg']
  const algorithm = typeof name === 'string' && Object.hasOwn(ALGORITHMS, name) ? ALGORITHMS[name] : undefined
  if (!header || !claims || !algorithm || header['crit'] !== undefined) return { problem: 'malformed' }
  const kid = typeof header['kid'] === 'string' ? header['kid'] : undefined
  const fitting = (await keysFor(kid)).filter((key) => key.kty === algorithm.kty && key.use !== 'enc')
  if (fitting.length === 0) return { problem: 'unknown_key' }
  const signed = new Uint8Array(new TextEncoder().encode(`${head}.${body}`))
  const bytes = bytesOf(signature)
  let isSigned = false
  for (const key of fitting) isSigned ||= bytes !== null && (await isBy(key, algorithm, bytes, signed))
  if (!isSigned) return { problem: 'bad_signature' }
  return judged(claims, rules, now / 1000)
}

function judged(claims: Readonly<Record<string, unknown>>, rules: JwtRules, seconds: number): Verified {
  const { exp, nbf, iss, aud } = claims
  if (typeof exp !== 'number' || exp + LEEWAY < seconds) return { problem: 'expired' }
  if (typeof nbf === 'number' && nbf - LEEWAY > seconds) return { problem: 'expired' }
  if (iss !== rules.issuer) return { problem: 'wrong_issuer' }
  const named: unknown[] = Array.isArray(aud) ? aud : [aud]
  if (rules.audience !== undefined && !named.includes(rules.audience)) return { problem: 'wrong_audience' }
  return { claims }
}

async function isBy(
  key: PublishedKey,
  { key: how, verify }: Algorithm,
  signature: Uint8Array<ArrayBuffer>,
  signed: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  try {
    const { kty, n, e, crv, x, y } = key
    const given = Object.entries({ n, e, crv, x, y }).filter(([, one]) => one !== undefined)
    const plain = { kty, ...Object.fromEntries(given) } as JsonWebKey
    const imported = await crypto.subtle.importKey('jwk', plain, how, false, ['verify'])
    return await crypto.subtle.verify(verify, imported, signature, signed)
  } catch {
    // A key of another curve, or one that this runtime cannot read: it signed nothing that is known here.
    return false
  }
}

function parsed(part: string): Record<string, unknown> | null {
  const bytes = bytesOf(part)
  if (bytes === null) return null
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes))
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null
  } catch {
    // No JSON, so no token.
    return null
  }
}

/** Bytes of base64url text; null when it is none. */
function bytesOf(text: string): Uint8Array<ArrayBuffer> | null {
  try {
    return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (one) => one.charCodeAt(0))
  } catch {
    // Not base64.
    return null
  }
}

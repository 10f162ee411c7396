// An issuer of tokens as a server in this process: its keys, and tokens that it signed.
export const ISSUER = 'https://issuer'
export const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

export async function issuer() {
  const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ])
  const jwk = { ...(await crypto.subtle.exportKey('jwk', pair.publicKey)), kid: 'k1' }
  let fetched = 0
  const server = {
    fetch: async ({ url }: Request) => {
      fetched++
      if (url.endsWith('/.well-known/openid-configuration'))
        return Response.json({ jwks_uri: `${ISSUER}/keys` })
      return Response.json({ keys: [jwk] })
    },
  }
  const sign = async (claims: object, header: object = {}) => {
    const signed = `${encode({ alg: 'ES256', kid: 'k1', ...header })}.${encode(claims)}`
    const bytes = await crypto.subtle.sign(
      { name: 'ECDSA', hash: 'SHA-256' },
      pair.privateKey,
      new TextEncoder().encode(signed),
    )
    return `${signed}.${Buffer.from(bytes).toString('base64url')}`
  }
  return { server, sign, fetched: () => fetched }
}

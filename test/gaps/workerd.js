// The bare Worker of gaps.test.ts: nothing of ours in it.
const told = []

export default {
  async fetch(request, env, ctx) {
    const url = new URL(request.url)
    const engine = url.searchParams.get('engine')
    if (url.pathname === '/told') return Response.json(told)
    if (url.pathname === '/wait') {
      request.signal.addEventListener('abort', () => told.push('the client left'))
      const answer = await fetch(engine, { signal: request.signal })
      told.push(`the engine answered ${await answer.text()}`)
      return new Response('late')
    }
    if (url.pathname === '/connect') return new Response(await fetch(engine).then(() => 'connected', String))
    const { readable, writable } = new IdentityTransformStream()
    const { body } = await fetch(engine)
    ctx.waitUntil(body.pipeTo(writable).then(() => told.push('the stream ended')))
    return new Response(readable)
  },
}

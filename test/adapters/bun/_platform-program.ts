// Runs inside Bun: its server before a handler that tells the URL and the body that it got; prints what clients are told that name no
// host, one, or several, and what a second server on its port is told.
import { connect } from 'node:net'
import { bunPlatform } from '../../../adapters/bun/platform.ts'

const handler = async (request: Request) =>
  new Response(`${request.method} ${request.url} ${await request.text()}`)
const options = {
  host: '127.0.0.1',
  port: 0,
  maxHeader: 4096,
  maxBody: 4096,
  onError: () => undefined,
}
const listener = await bunPlatform.listen(handler, options)
const port = Number(new URL(listener.url).port)

const tell = (text: string) =>
  new Promise<string>((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    let came = ''
    socket.on('data', (bytes) => {
      came += bytes.toString()
      if (/body|CONNECT|bad_request"/.test(came)) socket.end(() => resolve(came))
    })
    socket.write(text)
  })

// Its URL is one without a path.
await tell('CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n')
const post = (hosts: string) => tell(`POST /a?b HTTP/1.1\r\nHost: ${hosts}\r\nContent-Length: 4\r\n\r\nbody`)
const one = [await tell('POST /a?b HTTP/1.0\r\nContent-Length: 4\r\n\r\nbody')]
for (const host of ['', 'a:99999', 'a', 'a:99999', '[::1', '1.2.3.4.5', 'a:b', 'a', 'b:80', 'a.b', ':80'])
  one.push(await post(host))
const several: string[] = []
for (const hosts of ['a\r\nhost: b', 'a\r\nHost: a', '\r\nHost: a']) several.push(await post(hosts))
const second = await bunPlatform.listen(handler, { ...options, port }).then(
  () => 'listens',
  (error: unknown) => (error as { code?: string }).code ?? '',
)
console.log(JSON.stringify({ one, several, second }))
process.exit(0)

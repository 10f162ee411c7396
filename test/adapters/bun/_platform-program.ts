// Runs inside Bun: its server before a handler that tells the URL and the body that it got; prints what a client of HTTP/1.0 is told.
import { connect } from 'node:net'
import { bunPlatform } from '../../../adapters/bun/platform.ts'

const handler = async (request: Request) =>
  new Response(`${request.method} ${request.url} ${await request.text()}`)
const listener = await bunPlatform.listen(handler, {
  host: '127.0.0.1',
  port: 0,
  maxHeader: 4096,
  maxBody: 4096,
  onError: () => undefined,
})

const tell = (text: string) =>
  new Promise<string>((resolve) => {
    const socket = connect({ port: Number(new URL(listener.url).port), host: '127.0.0.1' })
    let came = ''
    socket.on('data', (bytes) => {
      came += bytes.toString()
      if (/body|CONNECT/.test(came)) socket.end(() => resolve(came.slice(came.indexOf('\r\n\r\n') + 4)))
    })
    socket.write(text)
  })

// Its URL is one without a path.
await tell('CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n')
const told = [await tell('POST /a?b HTTP/1.0\r\nContent-Length: 4\r\n\r\nbody')]
for (const host of ['', 'a:99999', 'a', 'a:99999', '[::1', '1.2.3.4.5', 'a:b', 'a', 'b:80', 'a.b', ':80'])
  told.push(await tell(`POST /a?b HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 4\r\n\r\nbody`))
console.log(JSON.stringify(told))
process.exit(0)

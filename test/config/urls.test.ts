import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isLoopback, normalizeUrl, parseAddress, parsePrefill } from '../../src/config/urls.ts'

const NORMAL: readonly (readonly [string, string])[] = [
  ['gpu1:8000', 'http://gpu1:8000'],
  [' GPU1:8000 ', 'http://gpu1:8000'],
  ['http://gpu1:8000/', 'http://gpu1:8000'],
  ['http://gpu1:8000/v1', 'http://gpu1:8000'],
  ['http://gpu1:8000/v1///', 'http://gpu1:8000'],
  ['http://gpu1:8000//v1/', 'http://gpu1:8000'],
  ['https://gpu1', 'https://gpu1'],
  ['https://gpu1:443/a/b/v1/', 'https://gpu1/a/b'],
  ['http://gpu1/abcv1', 'http://gpu1/abcv1'],
  ['gpu1/v1', 'http://gpu1'],
  ['localhost:8000', 'http://localhost:8000'],
  ['10.0.0.1:8000', 'http://10.0.0.1:8000'],
  ['[::1]:8000', 'http://[::1]:8000'],
  ['https://[2001:DB8::1]/v1', 'https://[2001:db8::1]'],
  ['unix:/run/vllm.sock', 'unix:/run/vllm.sock'],
  ['unix:///run/vllm.sock', 'unix:/run/vllm.sock'],
]

for (const [text, url] of NORMAL) {
  test(`${text} is ${url}`, () => {
    assert.equal(normalizeUrl(text), url)
    assert.equal(normalizeUrl(url), url)
  })
}

const REFUSED: readonly (readonly [string, RegExp])[] = [
  ['', /is empty/],
  ['   ', /is empty/],
  ['ftp://a', /ftp:\/\/ is not spoken/],
  ['grpc://a:1', /grpc:\/\/ is not spoken/],
  ['http://', /is no worker URL/],
  ['http://a:99999', /has port 99999, which is too large: ports end at 65535/],
  ['gpu1:65536/v1', /has port 65536, which is too large/],
  ['http://[::1]:70000', /has port 70000, which is too large/],
  ['a:b', /is no worker URL/],
  ['a:0', /port 0/],
  ['a b', /has a space/],
  ['::1', /put the address in brackets/],
  ['fe80::1:8000', /put the address in brackets/],
  ['a:1?x=y', /query or fragment/],
  ['a:1/#x', /query or fragment/],
  ['/run/vllm.sock', /unix:\/absolute\/path/],
  ['unix:run.sock', /absolute path/],
  ['unix://run.sock', /absolute path/],
]

for (const [text, message] of REFUSED) {
  test(`refuses ${JSON.stringify(text)}`, () => {
    assert.throws(() => normalizeUrl(text), message)
  })
}

test('credentials are refused with a hint and never repeated', () => {
  for (const text of ['http://user:s3cret@a:1', 's3cret@a', 'https://s3cret@a:99999']) {
    assert.throws(
      () => normalizeUrl(text),
      (error: Error) => !error.message.includes('s3cret') && error.message.includes('worker URL'),
    )
  }
})

test('a prefill worker is a URL and maybe a port', () => {
  assert.deepEqual(parsePrefill('a:1'), { url: 'http://a:1' })
  assert.deepEqual(parsePrefill('a:1, 9000'), { url: 'http://a:1', bootstrapPort: 9000 })
  assert.throws(() => parsePrefill('a:1,0'), /no bootstrap port/)
})

test('addresses are HOST:PORT, :PORT or PORT', () => {
  assert.deepEqual(parseAddress('0.0.0.0:80'), { host: '0.0.0.0', port: 80 })
  assert.deepEqual(parseAddress('[::]:80'), { host: '::', port: 80 })
  assert.deepEqual(parseAddress(':80'), { host: '127.0.0.1', port: 80 })
  assert.deepEqual(parseAddress('80'), { host: '127.0.0.1', port: 80 })
  for (const text of ['', 'a', 'a:', 'a:99999', '::1:80', 'http://a:80'])
    assert.equal(parseAddress(text), null)
})

test('loopback is this machine and nothing else', () => {
  for (const host of ['localhost', '127.0.0.1', '127.1.2.3', '::1', '[::1]'])
    assert.ok(isLoopback(host), host)
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'localhost.example.com', '127.0.0.1.example.com'])
    assert.ok(!isLoopback(host), host)
})

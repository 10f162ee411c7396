// What is said of a worker that the control plane cannot use.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { engine, Rig, W1, WORKERS } from '../journeys/_rig.ts'
import { open } from '../journeys/_web.ts'

const REFUSED: readonly (readonly [spec: object, message: string])[] = [
  [{ url: 'a:1', wieght: 2 }, 'unknown key wieght (did you mean weight?)'],
  [{ url: 'a:1', bootstrap_prot: 2 }, 'unknown key bootstrapProt (did you mean bootstrapPort?)'],
  [{ url: 'a:1', wieght: 2, colour: 'red' }, 'unknown key wieght (did you mean weight?); unknown key colour'],
  [{ url: 'gpu1:99999' }, 'url: "gpu1:99999" has port 99999, which is too large: ports end at 65535'],
]

for (const [spec, message] of REFUSED)
  test(`POST of ${JSON.stringify(spec)} says: ${message}`, async () => {
    const fleet = { [W1]: engine() }
    const router = await open({}, fleet, {})
    try {
      const { status, body } = await new Rig(router, fleet, undefined).admin('POST', WORKERS, spec)
      assert.equal(status, 400)
      assert.equal(body.error.message, `This worker can't be used: ${message}.`)
    } finally {
      await router.close()
    }
  })

// Drives the real routers and Fetchway with the same requests against engines that are alike: `npm run test:compat [-- ROUTER [SETTING]]`.
// Differences have to be on the reviewed list (reviewed.json), each with the reason why it is there.
import { readFileSync } from 'node:fs'
import { differences, familiesOf } from './compare.ts'
import { settings, type Name, type Setting } from './settings.ts'
import { askSide, peers, sidesOf, type Side } from './sides.ts'

interface Reviewed {
  readonly router: Name
  /** Absent: in all settings. */
  readonly setting?: string
  readonly requests: readonly string[]
  readonly differences: readonly string[]
  readonly reason: string
}

const METRICS = 'metrics'

const say = (line: string) => void process.stdout.write(`${line}\n`)

/** Asks both; what differs, by request. */
async function compared(setting: Setting, programs: string): Promise<Map<string, string[]>> {
  const sides = await sidesOf(setting, programs)
  const found = new Map<string, string[]>()
  try {
    for (const asked of setting.asked) {
      const [theirs, ours] = [await askSide(sides[0], asked), await askSide(sides[1], asked)]
      const different = differences(theirs, ours, asked.headers?.['origin'] !== undefined)
      if (different.length > 0) found.set(asked.name, different)
    }
    if (setting.metrics === true) {
      const missing = await missingFamilies(setting.router, sides)
      if (missing.length > 0) found.set(METRICS, missing)
    }
  } finally {
    for (const side of sides) side.stop()
  }
  return found
}

/** Families of metrics, with their labels, that the original tells after that traffic and we don't. */
async function missingFamilies(router: Name, sides: readonly [Side, Side]): Promise<string[]> {
  const prefix = router === 'sglang-router' ? 'smg_' : 'vllm_router_'
  const read = async ({ metricsUrl }: Side) =>
    familiesOf(await (await fetch(`${metricsUrl}/metrics`)).text(), prefix)
  const [theirs, ours] = await Promise.all(sides.map(read))
  return (theirs ?? []).filter((family) => !ours?.includes(family)).map((family) => `${family}: missing`)
}

async function main([router, only]: readonly string[]): Promise<number> {
  const reviewed = JSON.parse(readFileSync(new URL('reviewed.json', import.meta.url), 'utf8')) as Reviewed[]
  const programs = peers()
  let wrong = 0
  for (const setting of settings) {
    if ((router ?? setting.router) !== setting.router || (only ?? setting.name) !== setting.name) continue
    const found = await compared(setting, programs)
    const known = reviewed.filter(
      (one) => one.router === setting.router && (one.setting ?? setting.name) === setting.name,
    )
    const label = `${setting.router}, ${setting.name}`
    for (const [request, different] of found) {
      const listed = known
        .filter(({ requests }) => requests.includes(request))
        .flatMap((one) => one.differences)
      const news = different.filter((line) => !listed.includes(line.slice(0, line.indexOf(':'))))
      if (news.length === 0) continue
      wrong++
      say(`${label}: ${request}`)
      for (const line of news) say(`  ${line}`)
    }
    const alike = known
      .filter(({ setting: own }) => own !== undefined)
      .flatMap(({ requests }) => requests.filter((request) => !found.has(request)))
    for (const request of alike) say(`${label}: ${request} is alike and still on the reviewed list`)
    say(`${label}: ${setting.asked.length} requests, ${found.size} differ`)
  }
  return wrong
}

process.setMaxListeners(100)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
try {
  process.exitCode = (await main(process.argv.slice(2))) > 0 ? 1 : 0
} finally {
  setTimeout(() => process.exit(), 100)
}

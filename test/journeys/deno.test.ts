// The journeys on Deno: its own server and fetch, in a process of its own.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { Resident } from './_foreign.ts'
import { journeys } from './_journeys.ts'

const directory = await mkdtemp(join(tmpdir(), 'fetchway-deno-'))
after(() => rm(directory, { recursive: true, force: true }))
const resident = new Resident('deno', ['run', '--quiet', '--no-prompt', '--allow-all'])

journeys({
  name: 'deno',
  open: (config, fleet, options) => resident.open(config, fleet, { ...options, directory }),
  gaps: ['real-clock'],
})

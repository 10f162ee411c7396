// The journeys on Bun: its own server and fetch, in a process of its own.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { fileOf, Resident } from './_foreign.ts'
import { journeys } from './_journeys.ts'
import { programs } from './_programs.ts'

const directory = await mkdtemp(join(tmpdir(), 'fetchway-bun-'))
after(() => rm(directory, { recursive: true, force: true }))
const resident = new Resident('bun', [])

journeys({
  name: 'bun',
  open: (config, fleet, options) => resident.open(config, fleet, { ...options, directory }),
  gaps: ['real-clock'],
})

programs({ name: 'bun', args: [fileOf('adapters/bun.ts')] })

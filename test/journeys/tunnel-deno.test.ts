// Journeys on Deno with every worker dialled in: those in which sockets break and end; all of them run on Node.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { dialledIn, type OpenDialable } from './_dialled.ts'
import { Resident } from './_foreign.ts'
import { journeys } from './_journeys.ts'
import { tunnelFaults } from './_tunnel-faults.ts'

const directory = await mkdtemp(join(tmpdir(), 'fetchway-tunnel-deno-'))
after(() => rm(directory, { recursive: true, force: true }))
const resident = new Resident('deno', ['run', '--quiet', '--no-prompt', '--allow-all'])
const open: OpenDialable = (config, fleet, options) => resident.open(config, fleet, { ...options, directory })

journeys({
  name: 'tunnel on deno',
  open: dialledIn(open),
  gaps: ['real-clock', 'dialled-in', 'no-sockets'],
  groups: ['failures', 'leaving'],
})

tunnelFaults('deno', open, true)

// Journeys on workerd with every worker dialled in, each to a Durable Object of its own.
import { dialledIn } from './_dialled.ts'
import { journeys } from './_journeys.ts'
import { tunnelFaults } from './_tunnel-faults.ts'
import { open } from './_workerd.ts'

journeys({
  name: 'tunnel on workerd',
  open: dialledIn(open),
  gaps: ['real-clock', 'early-leave', 'fixed-configuration', 'dialled-in'],
})

tunnelFaults('workerd', open, false)

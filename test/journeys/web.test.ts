// The journeys on the plain web-standard host.
import { journeys } from './_journeys.ts'
import { open } from './_web.ts'

journeys({ name: 'web', open, gaps: ['no-sockets', 'no-tables'] })

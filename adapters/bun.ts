#!/usr/bin/env bun
// The program on Bun: `bun adapters/bun.ts [flags]`, with the words of the Node program; compiled, it is one file.
import { restartWithSettings } from './bun/restart.ts'

restartWithSettings()
// Not before: it would be read twice.
await import('./bun/program.ts')

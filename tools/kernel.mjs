// Makes src/kernel/module.ts of kernel.wat. usage: node tools/kernel.mjs [FILE]   after every change to it
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import wabt from 'wabt'

const folder = join(import.meta.dirname, '../src/kernel')
const module = (await wabt()).parseWat('kernel.wat', readFileSync(join(folder, 'kernel.wat'), 'utf8'))
module.resolveNames()
module.validate()
const base64 = Buffer.from(module.toBinary({}).buffer).toString('base64')
const lines = [
  '// kernel.wat as a WebAssembly module, by tools/kernel.mjs: base64, so that it is found however the code is packed.',
  `export const MODULE =\n  '${base64}'`,
]
writeFileSync(process.argv[2] ?? join(folder, 'module.ts'), `${lines.join('\n')}\n`)

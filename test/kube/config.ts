// Reads a configuration file as the program does.
import { readFile } from 'node:fs/promises'
import { parseConfigFile } from '../../adapters/cli/yaml.ts'
import { load } from '../../src/config/load.ts'

/** What is wrong with a file; nothing: it is taken. */
export async function loadConfig(path: string): Promise<readonly unknown[]> {
  return load({ file: parseConfigFile(path, await readFile(path, 'utf8')) }).issues
}

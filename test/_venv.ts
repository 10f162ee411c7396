// Python environments for the checks that need one: made once beside the requirements, and again when those change.
import { spawnSync } from 'node:child_process'
import { existsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** The Python of the environment in `folder`/.venv, with requirements.txt installed. Throws when it can't be made. */
export function pythonOf(folder: string): string {
  const venv = join(folder, '.venv')
  const python = join(venv, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python')
  const requirements = join(folder, 'requirements.txt')
  const stamp = join(venv, 'installed')
  if (existsSync(stamp) && statSync(stamp).mtimeMs >= statSync(requirements).mtimeMs) return python
  const system = process.env['PYTHON'] ?? (process.platform === 'win32' ? 'python' : 'python3')
  execute(system, ['-m', 'venv', '--clear', venv])
  execute(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements])
  writeFileSync(stamp, '')
  return python
}

function execute(command: string, args: readonly string[]): void {
  const done = spawnSync(command, args, { stdio: 'inherit' })
  if (done.error || done.status !== 0)
    throw new Error(`${command} ${args.join(' ')} failed: ${done.error?.message ?? done.status}`)
}

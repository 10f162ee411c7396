// The SGLang router's co-launch: `python -m sglang_router.launch_server` starts the workers, too.
import { readArguments, valuesOf } from '../argparse.ts'
import type { Circumstances, Dialect, Translation } from '../dialect.ts'
import { notesOf, openDoor } from '../gateway/translate.ts'
import { translateValues } from '../sglang-router/index.ts'
import { launchFlags, splitLaunch } from '../sglang-router/launch-flags.ts'
import { surface } from '../sglang-router/surface.ts'

/** How long each worker may take to come up, seconds. */
const PATIENCE = 300

export const sglangLaunchServer: Dialect = {
  name: 'sglang-launch-server',
  about: 'the SGLang router with its workers (python -m sglang_router.launch_server)',
  commands: ['server', 'sglang_router.launch_server'],
  flags: () => launchFlags,
  translate,
  surface,
}

function translate(argv: readonly string[], circumstances: Circumstances): Translation {
  const { router, workers } = splitLaunch(argv)
  const { given, problems, inert } = readArguments(router, launchFlags)
  const values = valuesOf(launchFlags, given, circumstances.defaults)
  const translated = translateValues(values, given, circumstances)
  const count = Math.max(1, Number(values['dp_size']))
  const tensor = Math.max(1, Number(values['tp_size']))
  const command = circumstances.environment['FETCHWAY_ENGINE_COMMAND']
  return {
    ...translated,
    notes: notesOf(inert, values['api_key'] === undefined ? openDoor(values) : []),
    problems: [...problems, ...translated.problems],
    launch: {
      command: command === undefined ? COMMAND : command.split(/\s+/).filter((word) => word !== ''),
      argv: [...workers, '--tp-size', String(tensor)],
      count,
      basePort: Number(values['router_dp_worker_base_port']),
      gpusEach: tensor,
      host: '127.0.0.1',
      seconds: PATIENCE,
    },
  }
}

/** What runs a worker; FETCHWAY_ENGINE_COMMAND takes its place. */
const COMMAND = ['python3', '-m', 'sglang.launch_server']

// A set of inference paths; those that end in `/` stand for everything below them.

/** Makes the test for a list of paths such as `/v1/completions` or `/v1/responses/`. */
export function pathSet(paths: readonly string[]): (path: string) => boolean {
  const whole = new Set(paths)
  const folders = paths.filter((path) => path.endsWith('/'))
  return (path) => whole.has(path) || folders.some((folder) => path.startsWith(folder))
}

// Raw workerd for the benchmarks: a bundle and a capnp configuration, without the proxy that miniflare puts in front.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildSync } from 'esbuild'

const root = join(import.meta.dirname, '..')

/** A Worker as wrangler.toml would tell of it. */
export interface Service {
  readonly port: number
  /** A module that exports the handler and the classes of the objects. */
  readonly entry: string
  readonly variables: Readonly<Record<string, string>>
  /** Binding and class of each Durable Object. */
  readonly objects: Readonly<Record<string, string>>
  /** Where its files go; objects keep their state on disk here. */
  readonly folder: string
}

/** The command line of a workerd that serves it on 127.0.0.1. Throws where the module lacks a class: workerd would fail each call. */
export function serveCommand(service: Service): readonly string[] {
  const { entry, folder, objects } = service
  const { outputFiles, metafile } = buildSync({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2024',
    external: ['cloudflare:*'],
    write: false,
    metafile: true,
    absWorkingDir: root,
  })
  const exported = Object.values(metafile.outputs).flatMap(({ exports }) => exports)
  const missing = Object.values(objects).filter((name) => !exported.includes(name))
  if (missing.length > 0) throw new Error(`${entry} does not export ${missing.join(', ')}`)
  writeFileSync(join(folder, 'worker.js'), outputFiles[0]?.text ?? '')
  writeFileSync(join(folder, 'config.capnp'), configOf(service))
  return [join(root, 'node_modules/.bin/workerd'), 'serve', join(folder, 'config.capnp')]
}

const quote = (text: string): string => JSON.stringify(text)

function configOf({ port, variables, objects, folder }: Service): string {
  const texts = Object.entries(variables).map(
    ([name, text]) => `(name = ${quote(name)}, text = ${quote(text)})`,
  )
  const classes = Object.entries(objects)
  const bindings = classes.map(
    ([name, className]) =>
      `(name = ${quote(name)}, durableObjectNamespace = (className = ${quote(className)}))`,
  )
  const namespaces = classes.map(
    ([, className]) =>
      `(className = ${quote(className)}, uniqueKey = ${quote(`bench-${className}`)}, enableSql = true)`,
  )
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [(name = "worker.js", esModule = embed "worker.js")],
      compatibilityDate = "2026-07-30",
      bindings = [${[...texts, ...bindings].join(', ')}],
      durableObjectNamespaces = [${namespaces.join(', ')}],
      durableObjectStorage = (localDisk = "disk"),
      globalOutbound = "network",
    )),
    (name = "network", network = (allow = ["private", "public"])),
    (name = "disk", disk = (path = ${quote(folder)}, writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);
`
}

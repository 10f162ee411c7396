// Makes what `npm pack` publishes: `prepack` bundles into dist/ and puts the package's own package.json in place,
// `postpack` brings the repository's back. usage: node tools/pack.mjs prepare | restore
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const manifest = join(root, 'package.json')
/** The repository's package.json while the package's own is in its place. */
const aside = join(root, 'dist', 'package.repository.json')
/** What packing makes. */
const BUNDLED = ['dist/main.js', 'dist/thread.js', 'dist/parts', 'dist/LICENSES.txt']

if (process.argv[2] === 'prepare') await prepare()
else if (process.argv[2] === 'restore') restore()
else throw new Error('usage: node tools/pack.mjs prepare | restore')

async function prepare() {
  restore() // of a run that was interrupted
  // What else lies there stays: the single binary is built into the same folder.
  for (const file of BUNDLED) rmSync(join(root, file), { recursive: true, force: true })
  mkdirSync(join(root, 'dist'), { recursive: true })
  const packages = await bundle()
  writeFileSync(join(root, 'dist', 'LICENSES.txt'), licensesOf(packages))
  swapManifest()
}

/**
 * Bundles the program with everything it imports, because Node strips no types below node_modules. Commands stay
 * files of their own that are loaded when they run; names are kept, so that stack traces read like the source.
 * Returns the packages that went in.
 */
async function bundle() {
  const { build } = await import('esbuild')
  const { metafile } = await build({
    absWorkingDir: root,
    // A serving thread (--threads) starts from a file of its own.
    entryPoints: { main: 'adapters/cli/main.ts', thread: 'adapters/node/threads/thread.ts' },
    outdir: 'dist',
    chunkNames: 'parts/[name]-[hash]',
    bundle: true,
    splitting: true,
    metafile: true,
    format: 'esm',
    platform: 'node',
    target: 'node22.19',
    minifySyntax: true,
    keepNames: true,
    legalComments: 'none',
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
    // The yaml package is CommonJS in parts, and that asks for `require`.
    banner: {
      js: "import{createRequire as nodeRequire}from'node:module';const require=nodeRequire(import.meta.url);",
    },
    logLevel: 'warning',
  })
  const names = Object.keys(metafile.inputs).flatMap(
    (path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? [],
  )
  return [...new Set(names)].sort()
}

/** The licenses of the bundled packages ask to be passed on with them. */
function licensesOf(packages) {
  const texts = packages.map((name) => {
    const folder = join(root, 'node_modules', name)
    const file = ['LICENSE', 'LICENSE.md', 'license']
      .map((one) => join(folder, one))
      .find((one) => existsSync(one))
    if (file === undefined) throw new Error(`${name} comes without a license file`)
    return `${name}\n\n${readFileSync(file, 'utf8').trim()}\n`
  })
  return `These packages are part of the files in dist/.\n\n${texts.join('\n---\n\n')}`
}

/**
 * Nothing but what an installed program needs: everything is bundled, so it depends on nothing, and a Node of its own
 * is the user's choice. The one script is for npm, which looks for `postpack` in the file that stands there then.
 */
function swapManifest() {
  const { name, version, description, license, type, bin, engines, keywords } = JSON.parse(
    readFileSync(manifest, 'utf8'),
  )
  const files = ['adapters/node.js', 'adapters/node/handover.js', ...BUNDLED]
  const scripts = { postpack: 'node tools/pack.mjs restore' }
  const published = { name, version, description, keywords, license, type, bin, engines, files, scripts }
  writeFileSync(`${manifest}.new`, `${JSON.stringify(published, null, 2)}\n`)
  // Copied aside before it is replaced, and replaced in one step: at any moment it exists whole in one of the places.
  writeFileSync(aside, readFileSync(manifest))
  renameSync(`${manifest}.new`, manifest)
}

function restore() {
  if (existsSync(aside)) renameSync(aside, manifest)
}

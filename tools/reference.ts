/**
 * Writes dist/reference.md: the public interface of the package, from its doc comments, on one page that begins with the version. What a
 * reader could not follow, such as a link that leads nowhere, is an error.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Application } from 'typedoc'

const root = fileURLToPath(new URL('../..', import.meta.url))
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
const houses = ['bpf-asm', 'syscall', 'trace']

/** The page. Throws when something public is not documented as it should be. */
export async function reference(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'reference-'))
  try {
    const app = await Application.bootstrapWithPlugins({
      plugin: ['typedoc-plugin-markdown'],
      tsconfig: join(root, 'tsconfig.json'),
      entryPoints: ['bpf-asm/index.ts', 'syscall/index.ts', 'src/library.ts'].map(path => join(root, path)),
      // Lists of names, of which the types of their members are made.
      intentionallyNotExported: ['helpers', 'attachType', 'mapType', 'programType'],
      readme: 'none',
      disableSources: true,
      excludeExternals: true,
      treatWarningsAsErrors: true,
      logLevel: 'Warn',
      outputs: [{ name: 'markdown', path: folder }],
      router: 'module',
      // The plugin's own, of which typedoc's types do not know.
      ...{ hidePageHeader: true, hideBreadcrumbs: true, parametersFormat: 'table', interfacePropertiesFormat: 'table' },
    })
    const project = await app.convert()
    if (project === undefined || app.logger.hasWarnings()) throw new Error('the public interface is not documented as it should be')
    await app.generateOutputs(project)
    const pages = houses.map(house => readFileSync(join(folder, 'tcptop', `${house}.md`), 'utf8'))
    // On one page, links from one to another are links within it.
    return [`tcptop ${version}: reference\n\n`, ...pages].join('\n').replaceAll(/\]\([\w./-]*\.md(#[\w-]+)\)/g, ']($1)')
  } finally {
    rmSync(folder, { recursive: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(join(root, 'dist/reference.md'), await reference())

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

/** Folders whose only door is their index.ts. */
const houses = ['bpf-asm', 'syscall', ...['backend', 'command', 'doctor', 'filter', 'frame', 'host', 'locate', 'option', 'program', 'recording', 'trace', 'view/screen', 'view'].map(name => `src/${name}`)]

/**
 * Who may import what: the first entry that is the file or a folder that holds it. What is not named must not be imported; `node:` neither. Imports
 * go down only: what a line names stands in a line above it.
 */
const rules: readonly (readonly [file: string, may: readonly string[]])[] = [
  ['bpf-asm/', []],
  ['syscall/', ['node:']],
  ['src/layout', []],
  ['src/usage-error', []],
  ['src/asset', ['node:fs']],
  ['src/wasm/', ['src/layout']],
  ['src/no-debugger', ['node:module']],
  ['src/host/', ['syscall']],
  ['src/trace/', ['node:fs', 'node:timers/promises', 'bpf-asm', 'syscall', 'src/host']],
  ['src/filter/', ['src/usage-error', 'src/host', 'src/trace']],
  ['src/program/', ['bpf-asm', 'src/layout']],
  ['src/locate/', ['node:fs', 'node:path', 'bpf-asm', 'syscall', 'src/program', 'src/trace']],
  ['src/backend/', ['node:module', 'node:url', 'bpf-asm', 'syscall', 'src/layout', 'src/program', 'src/trace']],
  ['src/accounting', ['syscall', 'src/layout', 'src/backend', 'src/trace']],
  ['src/library', ['src/accounting', 'src/trace']],
  ['src/frame/', ['node:fs', 'node:url', 'syscall', 'src/asset', 'src/layout', 'src/backend', 'src/trace']],
  ['src/recording/', ['node:fs', 'node:net', 'node:path', 'node:util', 'node:zlib', 'src/usage-error', 'src/frame', 'src/trace']],
  ['src/view/', ['src/layout', 'src/frame', 'src/host', 'src/trace']],
  ['src/option/', ['yargs', 'syscall', 'src/asset', 'src/usage-error', 'src/backend', 'src/frame', 'src/trace', 'src/view']],
  ['src/doctor/', ['bpf-asm', 'syscall', 'src/layout', 'src/backend', 'src/frame', 'src/host', 'src/trace', 'src/view']],
  ['src/command/', [
    'bpf-asm', 'syscall', 'src/asset', 'src/usage-error', ...['backend', 'doctor', 'frame', 'host', 'option', 'program', 'recording', 'trace', 'view'].map(name => `src/${name}`),
  ]],
  ['src/main', ['src/usage-error', 'src/trace', 'src/command']],
  ['src/start', ['node:', 'src/no-debugger']],
  ['src/cli', ['node:', 'syscall', 'src/']],
  ['test/', ['node:', '@xterm/headless', 'typescript', 'uvu', 'bpf-asm', 'syscall', 'src/', 'test/', 'tools/']],
  // As users of the package write them.
  ['tools/tracer/', ['node:', 'tcptop/', 'tools/tracer/']],
  ['tools/mutate', ['node:', 'esbuild', 'tools/']],
  ['tools/', ['node:', 'typedoc', 'bpf-asm', 'syscall', 'src/', 'tools/']],
]

/** Whether a name is an entry or lies below it: `src/row` is the file, and not `src/rowing`. */
function covers(entry: string, name: string): boolean {
  return name === entry || name.startsWith(/[/:]$/.test(entry) ? entry : `${entry}/`)
}

/** Every form of import: of values and types, for effects, re-exports, and within an expression or a type. */
const imports = /^(?:import|export)\s[^'"]*?from '([^']+)'|^import '([^']+)'|\bimport\(\s*'([^']+)'/gm

/** Lines of the rules that name one below them, except tests and tools, which may import each other. */
export function upward(): string[] {
  const inside = rules.filter(([entry]) => !/^(test|tools)/.test(entry))
  return inside.flatMap(([entry, may], line) =>
    may.filter(name => inside.slice(line).some(([below]) => below.replace(/\/$/, '') === name)).map(name => `${entry} imports ${name}, which is below it`))
}

/** The names that a file imports. */
const namesIn = (source: string) => [...source.matchAll(imports)].map(match => match[1] ?? match[2] ?? match[3] ?? '')
/** The file that a relative name means in a file; both without their endings. */
const fileOf = (name: string, file: string) => normalize(join(dirname(file), name)).replace(/\.js$/, '')

/** What is wrong with the imports of one file; its path is relative to the root. */
export function violations(file: string, source: string): string[] {
  const may = rules.find(([entry]) => covers(entry, file.replace(/\.ts$/, '')))?.[1]
  if (may === undefined) return [`${file} has no entry in tools/import-rule.ts`]
  const mayImport = (name: string) => may.some(entry => covers(entry, name))
  return namesIn(source).flatMap(name => {
    if (!name.startsWith('.')) return mayImport(name) ? [] : [`${file} must not import ${name}`]
    const path = fileOf(name, file)
    const house = houses.find(folder => path.startsWith(`${folder}/`))
    if (house !== undefined && file.startsWith(`${house}/`)) return []
    const isInside = file.startsWith('src/wasm/') && path.startsWith('src/wasm/')
    if (!isInside && !mayImport(path)) return [`${file} must not import ${path}`]
    const isTest = file.startsWith('test/') || file.startsWith('tools/')
    if (house === undefined || path === `${house}/index` || isTest) return []
    return [`${file} must enter ${house} through its index, not ${path}`]
  })
}

/** Files by their paths from the root, and their text. */
type Sources = ReadonlyMap<string, string>

/** The circles of imports among some files, of types too: `a → b → a`. Each is found once. */
export function circles(sources: Sources): string[] {
  const found: string[] = []
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file)
    if (start >= 0) found.push([...path.slice(start), file].join(' → '))
    const source = sources.get(`${file}.ts`)
    if (start >= 0 || done.has(file) || source === undefined) return
    for (const name of namesIn(source)) if (name.startsWith('.')) visit(fileOf(name, file), [...path, file])
    done.add(file)
  }
  for (const file of sources.keys()) visit(file.replace(/\.ts$/, ''), [])
  return found
}

function sourcesIn(root: string, folders: readonly string[]): Sources {
  return new Map(folders.flatMap(folder => readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.ts') && !file.endsWith('.d.ts') && !file.startsWith('build/'))
    .map(file => [`${folder}/${file}`, readFileSync(join(root, folder, file), 'utf8')] as const)))
}

/** What is wrong with the imports of all files of the house. */
export function check(root: string): string[] {
  const sources = sourcesIn(root, ['bpf-asm', 'syscall', 'src', 'test', 'tools'])
  const ours = new Map([...sources].filter(([file]) => !/^(test|tools)\//.test(file)))
  return [...sources].flatMap(([file, source]) => violations(file, source)).concat(circles(ours).map(circle => `a circle of imports: ${circle}`))
}

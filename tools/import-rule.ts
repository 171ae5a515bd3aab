import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

/** Folders that only their index.ts is the door of. */
const houses = ['bpf-asm', 'syscall', 'src/program', 'src/backend', 'src/format', 'src/measure', 'src/trace', 'src/doctor']

/**
 * Who may import what: the first entry that is the file or a folder that holds it. What is not named may not be
 * imported; `node:` neither.
 */
const rules: readonly (readonly [file: string, may: readonly string[]])[] = [
  ['bpf-asm/', []],
  ['syscall/', ['node:']],
  ['src/layout', []],
  ['src/wasm/', ['src/layout']],
  ['src/trace/', ['node:fs', 'node:timers/promises', 'bpf-asm', 'syscall', 'src/advice']],
  ['src/row', []],
  ['src/usage-error', []],
  ['src/wanted', []],
  ['src/aggregate', ['node:fs', 'node:url', 'syscall', 'src/layout', 'src/trace']],
  ['src/check', ['src/trace', 'src/usage-error']],
  ['src/command-line', ['yargs', 'src/nearest', 'src/trace', 'src/usage-error']],
  ['src/nearest', []],
  ['src/help', ['src/command-line']],
  ['src/completion', ['src/command-line']],
  ['src/cgroup', ['src/row', 'src/trace']],
  ['src/inside', ['src/layout', 'src/row']],
  ['src/column', ['src/row', 'src/cgroup', 'src/layout', 'src/aggregate', 'src/trace']],
  ['src/grouping', ['src/column', 'src/row', 'src/layout', 'src/aggregate', 'src/trace']],
  ['src/format/', ['src/row', 'src/column', 'src/grouping', 'src/trace']],
  ['src/program/', ['bpf-asm', 'src/layout']],
  ['src/backend/', ['bpf-asm', 'src/program', 'src/trace']],
  ['src/measure/', ['node:fs', 'node:path', 'bpf-asm', 'syscall', 'src/program', 'src/trace']],
  ['src/facts', ['bpf-asm', 'src/program', 'src/trace']],
  ['src/plan', ['bpf-asm', 'syscall', 'src/backend', 'src/facts', 'src/layout', 'src/program', 'src/trace']],
  ['src/session', ['bpf-asm', 'syscall', 'src/layout', 'src/plan', 'src/program', 'src/source', 'src/trace']],
  ['src/self-check', [
    'syscall', 'src/aggregate', 'src/column', 'src/grouping', 'src/layout', 'src/plan', 'src/row', 'src/session', 'src/trace',
  ]],
  ['src/probe', ['bpf-asm', 'syscall', 'src/plan', 'src/trace']],
  ['src/closed', ['syscall', 'src/facts', 'src/layout', 'src/plan', 'src/probe', 'src/session', 'src/trace']],
  ['src/library', ['src/closed', 'src/trace']],
  ['src/doctor/', [
    'bpf-asm', 'syscall', 'src/advice', 'src/backend', 'src/facts', 'src/plan', 'src/privilege', 'src/probe', 'src/session', 'src/trace',
  ]],
  ['src/source', ['node:module', 'node:url', 'bpf-asm']],
  ['src/privilege', ['syscall']],
  ['src/advice', ['syscall', 'src/privilege']],
  ['src/set', ['syscall', 'src/trace', 'src/usage-error']],
  ['src/dump', ['bpf-asm', 'syscall', 'src/plan', 'src/source', 'src/trace']],
  ['src/tracer', ['src/aggregate', 'src/row', 'src/session', 'src/trace']],
  ['src/options', [
    'node:fs', 'src/aggregate', 'src/backend', 'src/check', 'src/command-line', 'src/completion', 'src/format', 'src/grouping', 'src/help', 'src/nearest',
    'src/trace', 'src/usage-error',
  ]],
  ['src/main', ['bpf-asm', 'syscall', 'src/']],
  ['src/no-debugger', ['node:module']],
  ['src/start', ['node:', 'src/no-debugger']],
  ['src/cli', ['node:', 'syscall', 'src/cgroup', 'src/main', 'src/measure', 'src/no-debugger', 'src/trace']],
  ['test/', ['node:', 'typescript', 'uvu', 'bpf-asm', 'syscall', 'src/', 'test/', 'tools/']],
  // As whoever has the package writes them.
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

/** What is wrong with the imports of one file; its path is relative to the root. */
export function violations(file: string, source: string): string[] {
  const may = rules.find(([entry]) => covers(entry, file.replace(/\.ts$/, '')))?.[1]
  if (may === undefined) return [`${file} has no entry in tools/import-rule.ts`]
  const mayImport = (name: string) => may.some(entry => covers(entry, name))
  return [...source.matchAll(imports)].flatMap(match => {
    const name = match[1] ?? match[2] ?? match[3] ?? ''
    if (!name.startsWith('.')) return mayImport(name) ? [] : [`${file} must not import ${name}`]
    const path = normalize(join(dirname(file), name)).replace(/\.js$/, '')
    const house = houses.find(folder => path.startsWith(`${folder}/`))
    if (house !== undefined && file.startsWith(`${house}/`)) return []
    const isInside = file.startsWith('src/wasm/') && path.startsWith('src/wasm/')
    if (!isInside && !mayImport(path)) return [`${file} must not import ${path}`]
    const isTest = file.startsWith('test/') || file.startsWith('tools/')
    if (house === undefined || path === `${house}/index` || isTest) return []
    return [`${file} must enter ${house} through its index, not ${path}`]
  })
}

/** What is wrong with the imports of all files of the house. */
export function check(root: string): string[] {
  return ['bpf-asm', 'syscall', 'src', 'test', 'tools'].flatMap(folder =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter(file => file.endsWith('.ts') && !file.endsWith('.d.ts') && !file.startsWith('build/'))
      .flatMap(file => violations(`${folder}/${file}`, readFileSync(join(root, folder, file), 'utf8'))))
}

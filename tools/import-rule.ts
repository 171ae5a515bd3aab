import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

/** Folders that only their index.ts is the door of. */
const houses = ['bpf-asm', 'syscall', 'src/program', 'src/backend', 'src/format']

/** Who may import what: the first entry that a file's path starts with. What is not named may not be imported; `node:` neither. */
const rules: readonly (readonly [file: string, may: readonly string[]])[] = [
  ['bpf-asm/', []],
  ['syscall/', ['node:']],
  ['src/layout', []],
  ['src/wasm/', ['src/layout']],
  ['src/row', []],
  ['src/address', []],
  ['src/usage-error', []],
  ['src/aggregate', ['node:fs', 'src/layout']],
  ['src/check', ['src/usage-error']],
  ['src/command-line', ['yargs', 'src/usage-error']],
  ['src/column', ['src/row', 'src/layout', 'src/aggregate', 'src/address']],
  ['src/grouping', ['src/column', 'src/row', 'src/layout', 'src/aggregate', 'src/address']],
  ['src/format/', ['src/row', 'src/column', 'src/grouping']],
  ['src/program/', ['bpf-asm', 'src/layout']],
  ['src/backend/', ['bpf-asm', 'src/program']],
  ['src/facts', ['bpf-asm']],
  ['src/plan', ['bpf-asm', 'syscall', 'src/backend', 'src/facts', 'src/layout', 'src/program']],
  ['src/session', ['bpf-asm', 'syscall', 'src/layout', 'src/plan', 'src/program']],
  ['src/set', ['syscall', 'src/usage-error']],
  ['src/dump', ['bpf-asm', 'src/plan']],
  ['src/tracer', ['src/aggregate', 'src/row', 'src/session']],
  ['src/options', ['node:fs', 'src/aggregate', 'src/backend', 'src/check', 'src/command-line', 'src/format', 'src/grouping', 'src/usage-error']],
  ['src/main', ['bpf-asm', 'syscall', 'src/']],
  ['src/cli', ['node:', 'syscall', 'src/main']],
  ['test/', ['node:', 'uvu', 'bpf-asm', 'syscall', 'src/', 'test/', 'tools/']],
  ['tools/', ['node:', 'bpf-asm', 'syscall', 'src/', 'tools/']],
]

/** What is wrong with the imports of one file; its path is relative to the root. */
export function violations(file: string, source: string): string[] {
  const may = rules.find(([start]) => file.startsWith(start))?.[1]
  if (may === undefined) return [`${file} has no entry in tools/import-rule.ts`]
  return [...source.matchAll(/^(?:import|export)\s[^'"]*?from '([^']+)'|^import '([^']+)'/gm)].flatMap(match => {
    const name = match[1] ?? match[2] ?? ''
    if (!name.startsWith('.')) return may.some(allowed => name === allowed || (allowed === 'node:' && name.startsWith(allowed)) || name.startsWith(`${allowed}/`)) ? [] : [`${file} must not import ${name}`]
    const path = normalize(join(dirname(file), name)).replace(/\.js$/, '')
    const house = houses.find(folder => path.startsWith(`${folder}/`))
    if (house !== undefined && file.startsWith(`${house}/`)) return []
    const isInside = file.startsWith('src/wasm/') && path.startsWith('src/wasm/')
    if (!isInside && !may.some(allowed => path.startsWith(allowed))) return [`${file} must not import ${path}`]
    const isTest = file.startsWith('test/') || file.startsWith('tools/')
    return house === undefined || path === `${house}/index` || isTest ? [] : [`${file} must enter ${house} through its index, not ${path}`]
  })
}

/** What is wrong with the imports of all files of the house. */
export function check(root: string): string[] {
  return ['bpf-asm', 'syscall', 'src', 'test', 'tools'].flatMap(folder =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter(file => file.endsWith('.ts') && !file.endsWith('.d.ts') && !file.startsWith('build/'))
      .flatMap(file => violations(`${folder}/${file}`, readFileSync(join(root, folder, file), 'utf8'))))
}

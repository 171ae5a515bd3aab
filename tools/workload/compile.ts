import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

const source = fileURLToPath(new URL('../../../tools/workload/', import.meta.url))
const folder = fileURLToPath(new URL('../../workload/', import.meta.url))

/** Debian's cross compilers. What one makes is linked statically, for whatever libraries the other machine has. */
const cross: Readonly<Partial<Record<NodeJS.Architecture, string>>> = { arm64: 'aarch64-linux-gnu-gcc', x64: 'x86_64-linux-gnu-gcc' }

/** Where the workload programs of this architecture are. */
export function programFor(arch: NodeJS.Architecture): string {
  return `${folder}${arch}/workload`
}

/** Compiles them, if they have changed. */
export function compileFor(arch: NodeJS.Architecture): void {
  const program = programFor(arch)
  mkdirSync(dirname(program), { recursive: true })
  const sources = readdirSync(source).map(name => source + name)
  const made = statSync(program, { throwIfNoEntry: false })?.mtimeMs ?? 0
  if (sources.every(path => statSync(path).mtimeMs <= made)) return
  const files = sources.filter(name => name.endsWith('.c'))
  const [compiler, ...options] = arch === process.arch ? ['gcc'] : [cross[arch] ?? `no compiler for ${arch}`, '-static']
  execFileSync(compiler!, ['-std=gnu11', '-O1', '-pthread', ...options, '-o', program, ...files], { stdio: ['ignore', 'inherit', 'inherit'] })
}

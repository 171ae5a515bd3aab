/**
 * Writes syscall/uapi.ts: the numbers of the kernel's interface, as the C++ compiler sees them in <linux/bpf.h> and
 * <linux/perf_event.h>. With `--check` it compares instead and ends with 1 when a number differs. A header that is newer has more and
 * one that is older has less; neither is a difference, for the numbers of a name never change.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const target = fileURLToPath(new URL('../../syscall/uapi.ts', import.meta.url))

/** Enumerations: what they are called here, what their enumerators start with and whether those are written in lower case. */
const enums = [
  { name: 'command', prefix: 'BPF_', of: 'bpf_cmd', doc: 'Commands of bpf(): `enum bpf_cmd`.', lower: false },
  { name: 'mapType', prefix: 'BPF_MAP_TYPE_', of: 'bpf_map_type', doc: 'Types of maps: `enum bpf_map_type`.', lower: true },
  { name: 'programType', prefix: 'BPF_PROG_TYPE_', of: 'bpf_prog_type', doc: 'Types of programs: `enum bpf_prog_type`.', lower: true },
  { name: 'attachType', prefix: 'BPF_', of: 'bpf_attach_type', doc: 'What a program is attached to: `enum bpf_attach_type`.', lower: true },
] as const

/** Structures: the fields that are used, as C++ names them, of the part of `union bpf_attr` that a command uses. */
const structs = [
  { name: 'mapCreate', type: 'bpf_attr', fields: ['map_type', 'key_size', 'value_size', 'max_entries', 'map_flags', 'map_name', 'btf_fd', 'btf_key_type_id', 'btf_value_type_id'] },
  { name: 'mapElem', type: 'bpf_attr', fields: ['map_fd', 'key', 'value', 'next_key', 'flags'] },
  { name: 'batch', type: 'bpf_attr', in: 'batch', fields: ['in_batch', 'out_batch', 'keys', 'values', 'count', 'map_fd', 'elem_flags', 'flags'] },
  { name: 'progLoad', type: 'bpf_attr', fields: ['prog_type', 'insn_cnt', 'insns', 'license', 'log_level', 'log_size', 'log_buf', 'kern_version', 'prog_name', 'expected_attach_type', 'prog_btf_fd', 'func_info_rec_size', 'func_info', 'func_info_cnt', 'line_info_rec_size', 'line_info', 'line_info_cnt', 'attach_btf_id'] },
  { name: 'progTest', type: 'bpf_attr', in: 'test', fields: ['prog_fd', 'retval', 'data_size_in', 'data_in', 'data_size_out', 'data_out', 'ctx_size_in', 'ctx_in', 'repeat', 'duration'] },
  { name: 'object', type: 'bpf_attr', fields: ['pathname', 'bpf_fd', 'file_flags'] },
  { name: 'info', type: 'bpf_attr', in: 'info', fields: ['bpf_fd', 'info_len', 'info'] },
  { name: 'rawTracepoint', type: 'bpf_attr', in: 'raw_tracepoint', fields: ['name', 'prog_fd'] },
  { name: 'btfLoad', type: 'bpf_attr', fields: ['btf', 'btf_log_buf', 'btf_size', 'btf_log_size', 'btf_log_level'] },
  { name: 'linkCreate', type: 'bpf_attr', in: 'link_create', fields: ['prog_fd', 'target_fd', 'attach_type', 'flags', 'iter_info', 'iter_info_len'] },
  { name: 'iterCreate', type: 'bpf_attr', in: 'iter_create', fields: ['link_fd', 'flags'] },
  { name: 'enableStats', type: 'bpf_attr', in: 'enable_stats', fields: ['type'] },
  { name: 'mapInfo', type: 'bpf_map_info', fields: ['type', 'id', 'key_size', 'value_size', 'max_entries', 'map_flags', 'name'] },
  { name: 'progInfo', type: 'bpf_prog_info', fields: ['type', 'id', 'jited_prog_len', 'xlated_prog_len', 'jited_prog_insns', 'xlated_prog_insns', 'name', 'run_time_ns', 'run_cnt', 'recursion_misses', 'verified_insns', 'line_info', 'nr_line_info', 'line_info_rec_size'] },
  { name: 'perfAttr', type: 'perf_event_attr', fields: ['type', 'size', 'config', 'sample_period', 'kprobe_func', 'probe_offset'] },
] as const

const constants = [
  'BPF_OBJ_NAME_LEN', 'BPF_F_NO_PREALLOC', 'BPF_F_RDONLY_PROG', 'PERF_TYPE_TRACEPOINT', 'PERF_EVENT_IOC_ENABLE', 'PERF_EVENT_IOC_DISABLE', 'PERF_EVENT_IOC_SET_BPF',
  'PERF_FLAG_FD_CLOEXEC',
] as const

/** `enum of { NAME, … }` in the header: the names, aliases with a value of their own too, without `__MAX_…`. */
function enumerators(of: string): string[] {
  const header = readFileSync('/usr/include/linux/bpf.h', 'utf8').replaceAll(/\/\*[\s\S]*?\*\//g, '')
  const body = new RegExp(`enum ${of} \\{([^}]*)\\}`).exec(header)?.[1]
  if (body === undefined) throw new Error(`no enum ${of} in <linux/bpf.h>`)
  return body.split(',').map(part => part.split('=')[0]?.trim() ?? '').filter(name => name !== '' && !name.startsWith('_'))
}

/** Asks the compiler for the value of each C++ expression. */
function evaluate(expressions: readonly string[]): number[] {
  const folder = mkdtempSync(join(tmpdir(), 'uapi-'))
  try {
    const source = [
      '#include <cstddef>', '#include <cstdio>', '#include <linux/bpf.h>', '#include <linux/perf_event.h>', '#include <sys/ioctl.h>', 'int main() {',
      ...expressions.map(expression => `  printf("%llu\\n", (unsigned long long)(${expression}));`), '}',
    ].join('\n')
    const program = join(folder, 'uapi')
    execFileSync('g++', ['-x', 'c++', '-w', '-o', program, '-'], { input: source, stdio: ['pipe', 'inherit', 'inherit'] })
    return execFileSync(program, { encoding: 'utf8' }).trimEnd().split('\n').map(Number)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function generate(): string {
  const wanted: string[] = []
  const ask = (expression: string) => wanted.push(expression) - 1
  const enumPlan = enums.map(entry => ({ ...entry, members: enumerators(entry.of).map(name => ({ name, value: ask(name) })) }))
  const structPlan = structs.map(entry => ({
    ...entry,
    size: ask(`sizeof(${entry.type})`),
    fields: entry.fields.map(field => {
      const path = 'in' in entry ? `${entry.in}.${field}` : field
      return { field, offset: ask(`offsetof(${entry.type}, ${path})`), size: ask(`sizeof(((${entry.type} *)0)->${path})`) }
    }),
  }))
  const constantPlan = constants.map(name => ({ name, value: ask(name) }))
  const values = evaluate(wanted)

  const lines = ['// Written by tools/uapi.ts from the kernel\'s uapi headers. Do not edit.', '']
  for (const { name, prefix, doc, lower, members } of enumPlan) {
    lines.push(`/** ${doc} */`, `export const ${name} = {`)
    for (const member of members) {
      const short = member.name.replace(prefix, '')
      lines.push(`  ${lower ? short.toLowerCase() : short}: ${values[member.value]},`)
    }
    lines.push('} as const', '')
  }
  for (const { name, type, fields } of structPlan) {
    const end = Math.max(...fields.map(({ offset, size }) => (values[offset] ?? 0) + (values[size] ?? 0)))
    lines.push(`/** Offset and size of fields of ${type}. */`, `export const ${name} = {`, `  size: ${Math.ceil(end / 8) * 8},`, '  fields: {')
    for (const { field, offset, size } of fields) lines.push(`    ${field}: [${values[offset]}, ${values[size]}],`)
    lines.push('  },', '} as const', '')
  }
  for (const { name, value } of constantPlan) lines.push(`export const ${name} = ${values[value]}`)
  return `${lines.join('\n')}\n`
}

/** Every number with the path of its name, so that files of different headers can be compared. */
function numbers(source: string): Map<string, string> {
  const found = new Map<string, string>()
  let block = ''
  for (const line of source.split('\n')) {
    block = /^export const (\w+) = \{/.exec(line)?.[1] ?? block
    const entry = /^\s+(\w+): (\d+|\[.*\]),$/.exec(line) ?? /^export const (\w+) = (\d+)$/.exec(line)
    if (entry?.[1] !== undefined && entry[2] !== undefined && entry[1] !== 'size') found.set(`${block}.${entry[1]}`, entry[2])
  }
  return found
}

const fresh = generate()
if (process.argv.includes('--check')) {
  const here = numbers(fresh)
  const differences = [...numbers(readFileSync(target, 'utf8'))].filter(([name, value]) => here.has(name) && here.get(name) !== value)
  for (const [name, value] of differences) console.error(`syscall/uapi.ts: ${name} is ${value}, the header says ${here.get(name)}`)
  process.exitCode = differences.length > 0 ? 1 : 0
} else {
  writeFileSync(target, fresh)
}

import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { assemble, exit, ja, label, listing, place } from '../../bpf-asm/index.js'
import { admit } from '../../src/program/admit.js'
import { type Access, choosesProcesses, type KernelFields, fieldsOf, type Filter, probed, typed } from '../../src/program/index.js'
import { btfFixtures, noFilter } from '../kit/fixture.js'

const field: KernelFields = {
  ...fieldsOf(btfFixtures[0]!.btf),
  tgid: { offset: 100, size: 4 },
  nsproxy: { offset: 200, size: 8 },
  mntNs: { offset: 16, size: 8 },
  mntInum: { offset: 24, size: 4 },
}

/** What a filter is made of, without the numbers of instructions and distances. */
function code(filter: Partial<Filter>, access: (field: KernelFields) => Access = typed): string {
  const context = { field, filter: { ...noFilter, ...filter }, access: access(field), locked: true, calls: true, slots: false, audited: false, mayCopy: true }
  const no = place('no')
  const text = listing(assemble([admit(context, no), ja(no), label(no), exit()]))
  return text.replace(/^ *\d+: \(..\) /gm, '  ').replace(/pc\+\d+ /g, '').replace(/ +; .*$/gm, '')
}

const end = '  goto <no>\nno:\n  exit\n'

test('what is not asked for is no instruction', () => {
  assert.is(code({}), end)
  assert.is(code({ family: 4 }), end)
})

test('a process is admitted when it is any of those that are wanted', () => {
  assert.is(code({ pids: [7, 4_194_304] }), `\
  r1 = *(u32 *)(r9 +100)
  if w1 == 0x7 goto <.1>
  if w1 != 0x400000 goto <no>
.1:
${end}`)
})

test('many processes are looked up in a map, once', () => {
  const many = Array.from({ length: 9 }, (_, index) => index + 1)
  assert.is(code({ pids: many }), `\
  r1 = *(u32 *)(r9 +100)
  *(u32 *)(r10 -24) = r1
  r2 = r10
  r2 += -24
  r1 = map[wanted]
  call bpf_map_lookup_elem#1
  if r0 == 0x0 goto <no>
${end}`)
  assert.match(code({ pids: many.slice(1) }), /(if w1 == 0x\d goto <\.1>\s+){7}if w1 != 0x9 goto <no>/)
  assert.is(code({ pids: many }), code({ pids: Array.from({ length: 50_000 }, (_, index) => index + 1) }))
})

test('in a pid namespace a process is admitted by what it is called there, and never when it is not right in it', () => {
  assert.is(code({ pids: [7], pidNamespace: { dev: 4n, ino: 0xf0000123n } }), `\
  r1 = 0x4
  r2 = 0xf0000123
  r3 = r10
  r3 += -24
  r4 = 8
  call bpf_get_ns_current_pid_tgid#120
  if r0 != 0x0 goto <no>
  r1 = *(u32 *)(r10 -20)
  if w1 != 0x7 goto <no>
${end}`)
})

test('the current task is in the cgroup or below it when the helper says 1: 0 and errors are not', () => {
  assert.is(code({ cgroup: true }), `\
  r1 = map[cgroup]
  r2 = 0
  call bpf_current_task_under_cgroup#37
  if r0 != 0x1 goto <no>
${end}`)
})

test('a cgroup is wanted when its id is a key', () => {
  assert.is(code({ cgroupIds: true }), `\
  call bpf_get_current_cgroup_id#80
  *(u64 *)(r10 -24) = r0
  r2 = r10
  r2 += -24
  r1 = map[cgroup_ids]
  call bpf_map_lookup_elem#1
  if r0 == 0x0 goto <no>
${end}`)
})

test('a mount namespace is wanted when its inode is a key, and a task that has left its own is not', () => {
  assert.is(code({ mntnsIds: true }), `\
  r1 = *(u64 *)(r9 +200)
  if r1 == 0x0 goto <no>
  r1 = *(u64 *)(r1 +16)
  r1 = *(u32 *)(r1 +24)
  *(u64 *)(r10 -24) = r1
  r2 = r10
  r2 += -24
  r1 = map[mntns_ids]
  call bpf_map_lookup_elem#1
  if r0 == 0x0 goto <no>
${end}`)
})

test('where types are not known, the process is asked of a helper, and namespaces are copied', () => {
  assert.is(code({ pids: [7] }, probed), `\
  call bpf_get_current_pid_tgid#14
  r1 = r0
  r1 >>= 32
  if w1 != 0x7 goto <no>
${end}`)
  const copied = (size: number, base: string, offset: number) => `\
  r3 = ${base}
  r3 += ${offset}
  r2 = ${size}
  r1 = r10
  r1 += -40
  call bpf_probe_read_kernel#113
  r1 = *(u${8 * size} *)(r10 -40)
`
  assert.is(code({ mntnsIds: true }, probed), `\
${copied(8, 'r9', 200)}\
  if r1 == 0x0 goto <no>
${copied(8, 'r1', 16)}\
${copied(4, 'r1', 24)}\
  *(u64 *)(r10 -24) = r1
  r2 = r10
  r2 += -24
  r1 = map[mntns_ids]
  call bpf_map_lookup_elem#1
  if r0 == 0x0 goto <no>
${end}`)
})

test('several filters must all be passed', () => {
  const body = (filter: Partial<Filter>) => code(filter).slice(0, -end.length)
  const parts: readonly Partial<Filter>[] = [{ pids: [1] }, { cgroup: true }, { cgroupIds: true }, { mntnsIds: true }]
  assert.is(body(Object.assign({}, ...parts) as Partial<Filter>), parts.map(body).join(''))
})

test('a filter of families chooses no processes, every other does', () => {
  assert.not.ok(choosesProcesses(noFilter))
  assert.not.ok(choosesProcesses({ ...noFilter, family: 6 }))
  for (const filter of [{ pids: [1] }, { cgroup: true }, { cgroupIds: true }, { mntnsIds: true }]) {
    assert.ok(choosesProcesses({ ...noFilter, ...filter }))
  }
})

test.run()

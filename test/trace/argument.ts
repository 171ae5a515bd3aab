import { existsSync, readFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { assemble, type Btf, type Field, list, parseBtf, r6 } from '../../bpf-asm/index.js'
import { argumentsAt } from '../../src/trace/argument.js'
import type { Point } from '../../src/trace/index.js'
import { blob, int, Kind, prototype, refer, struct } from '../kit/blob.js'

const [void0, sock, intType, bool, pointer] = [0, 1, 2, 3, 4]
/** A kernel with a tracepoint whose names are known, one that has types alone, functions and an iterator. */
const btf = parseBtf(blob(
  struct('sock', 8, ['state', 2, 0]), int('int', 4), int('bool', 1), refer(Kind.ptr, sock),
  prototype(void0, ['', pointer], ['', pointer], ['', intType], ['', bool]), refer(Kind.ptr, 5), refer(Kind.typedef, 6, 'btf_trace_state'),
  refer(Kind.typedef, 6, 'btf_trace_nameless'),
  prototype(intType, ['__data', pointer], ['sk', pointer], ['new', intType], ['is', bool]), refer(Kind.func, 9, '__traceiter_state'),
  prototype(intType, ['sk', pointer], ['a', intType], ['b', intType], ['c', intType], ['d', intType], ['e', intType], ['f', intType]),
  refer(Kind.func, 11, 'tcp_connect'),
  prototype(intType, ['meta', pointer], ['sk_common', pointer], ['uid', intType]), refer(Kind.func, 13, 'bpf_iter_tcp'),
  prototype(void0, ['sk', pointer]), refer(Kind.func, 15, 'tcp_done'),
))

/** What it takes to load each argument into r6, where the point has it. */
function loads(on: Point, names: readonly string[], arch = 'x64', from: Btf = btf): (string | undefined)[] {
  const args = argumentsAt(on, () => from, arch)
  return names.map(name => name in args ? list(assemble((args[name] as Field).load(r6)))[0]?.replace(/^0: \(..\) /, '') : undefined)
}

test('arguments of a tracepoint are words, by their names, loaded with the size that they have', () => {
  for (const on of [{ tracepoint: 'state' }, { rawTracepoint: 'state' }]) {
    assert.equal(loads(on, ['sk', 'new', 'is', '__data', 'ret']),
      ['r6 = *(u64 *)(r1 +0)', 'r6 = *(u32 *)(r1 +8)', 'r6 = *(u8 *)(r1 +16)', undefined, undefined])
  }
})

test('where the BTF has no names they are found by position', () => {
  assert.equal(loads({ tracepoint: 'nameless' }, ['0', '1', '3', 'sk']), ['r6 = *(u64 *)(r1 +0)', 'r6 = *(u32 *)(r1 +8)', undefined, undefined])
})

test('a return has what was passed and what is returned, unless that is nothing', () => {
  assert.equal(loads({ entry: 'tcp_connect' }, ['sk', 'f', 'ret']), ['r6 = *(u64 *)(r1 +0)', 'r6 = *(u32 *)(r1 +48)', undefined])
  assert.equal(loads({ exit: 'tcp_connect' }, ['sk', 'ret']), ['r6 = *(u64 *)(r1 +0)', 'r6 = *(u32 *)(r1 +56)'])
  assert.equal(loads({ exit: 'tcp_done' }, ['sk', 'ret']), ['r6 = *(u64 *)(r1 +0)', undefined])
})

test('a kprobe finds them in registers, of which there are so many', () => {
  const on = { kprobe: 'tcp_connect' }
  assert.equal(loads(on, ['sk', 'e', 'f', 'ret']), ['r6 = *(u64 *)(r1 +112)', 'r6 = *(u32 *)(r1 +64)', undefined, undefined])
  assert.equal(loads(on, ['sk', 'e', 'f'], 'arm64'), ['r6 = *(u64 *)(r1 +0)', 'r6 = *(u32 *)(r1 +40)', 'r6 = *(u32 *)(r1 +48)'])
  assert.equal(loads(on, ['sk'], 'riscv64'), [undefined])
})

test('an iterator has its context', () => {
  for (const on of [{ iterator: 'tcp' }, { sweep: 'tcp', map: 'any' }]) {
    assert.equal(loads(on, ['meta', 'sk_common', 'uid']), ['r6 = *(u64 *)(r1 +0)', 'r6 = *(u64 *)(r1 +8)', 'r6 = *(u32 *)(r1 +16)'])
  }
})

test('an argument that there is not is an error that says which there are', () => {
  const ask = (on: Point) => () => argumentsAt(on, () => btf, 'x64').skb
  assert.throws(ask({ tracepoint: 'state' }), /^tracepoint state has no argument skb: it has sk, new, is$/)
  assert.throws(ask({ tracepoint: 'nameless' }), /^tracepoint nameless has no argument skb: this kernel's BTF does not have their names, use args\[0\] to args\[2\]$/)
  assert.throws(ask({ entry: 'gone' }), /^entry of gone has no argument skb: it has none, or this kernel has no such point$/)
})

const vmlinux = '/sys/kernel/btf/vmlinux'
if (existsSync(vmlinux)) {
  test('this kernel has the names of its tracepoints’ arguments', () => {
    const here = parseBtf(readFileSync(vmlinux))
    const first = ['r6 = *(u64 *)(r1 +0)', 'r6 = *(u64 *)(r1 +8)']
    assert.equal(loads({ tracepoint: 'tcp_retransmit_skb' }, ['sk', 'skb'], 'x64', here), first)
    assert.equal(loads({ tracepoint: 'sched_process_fork' }, ['parent', 'child'], 'x64', here), first)
    assert.equal(loads({ tracepoint: 'inet_sock_set_state' }, ['sk', 'newstate'], 'x64', here), [first[0], 'r6 = *(u32 *)(r1 +16)'])
  })
}

test.run()

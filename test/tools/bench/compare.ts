import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compare } from '../../../tools/bench/compare.js'
import type { Result } from '../../../tools/bench/result.js'

const overhead = (added: number | null) => ({ connections: 10, tool: 'fentry', what: 'everything', added, ...added === null ? { reason: 'refused' } : {} })
const one: Result = {
  machine: '2 × fast', kernel: '6.18', node: 'v20', commit: 'a'.repeat(40), modified: false, date: '',
  guests: { 6.1: { kernel: '6.1.170', overhead: [overhead(200)], start: [] } },
  drain: [{ flows: 1000, cpu: 2, walk: 1, wasm: 1, print: 0, peak: 50, memory: 1 }], start: [{ what: 'tcptop', cpu: 100, wall: 100 }], idle: [],
}

test('figures of two commits stand side by side, with their ratio', () => {
  const other = {
    ...one, commit: 'b'.repeat(40), modified: true, guests: { 6.1: { kernel: '6.1.170', overhead: [overhead(150)], start: [] } }, start: [{ what: 'tcptop', cpu: 80, wall: 90 }],
  }
  const table = compare(one, other)
  assert.match(table, /^\| what \| aaaaaaaaaaaa \| bbbbbbbbbbbb, modified \| ratio \|$/m)
  assert.match(table, /^\| Linux 6\.1: fentry, everything, 10 connections: instructions \| 200 \| 150 \| 0\.750 \|$/m)
  assert.match(table, /^\| start of tcptop: ms of CPU \| 100 \| 80 \| 0\.800 \|$/m)
  assert.match(table, /^\| drain of 1000 flows: ms of CPU \| 2 \| 2 \| 1\.000 \|$/m)
})

test('what only one of them measured has no ratio, and a reason where there is one', () => {
  const table = compare(one, { ...one, guests: { 6.1: { kernel: '6.1.170', overhead: [overhead(null)], start: [] } }, drain: [] })
  assert.match(table, /everything, 10 connections: instructions \| 200 \| refused \| – \|$/m)
  assert.match(table, /^\| drain of 1000 flows: ms of CPU \| 2 \| not measured \| – \|$/m)
  // Guests that only one of them had do not make them incomparable.
  assert.match(compare(one, { ...one, guests: {} }), /instructions \| 200 \| not measured \| – \|$/m)
})

test('runs of different machines or kernels are not compared', () => {
  const guests = { 6.1: { kernel: '6.1.171', overhead: [], start: [] } }
  for (const [other, wrong] of [
    [{ machine: '64 × faster' }, /the machine is 2 × fast in one and 64 × faster in the other/],
    [{ kernel: '7.3' }, /the kernel is 6\.18 in one and 7\.3/],
    [{ node: 'v22' }, /the Node\.js is v20 in one and v22/],
    [{ guests }, /the kernel of the guest 6\.1 is 6\.1\.170 in one and 6\.1\.171/],
  ] as const) {
    assert.throws(() => compare(one, { ...one, ...other }), wrong)
  }
})

test.run()

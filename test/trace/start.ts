import { constants } from 'node:os'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { exit, mov, r0 } from '../../bpf-asm/index.js'
import { byName, programAt, startFirst, startTracer } from '../../src/trace/index.js'
import { SyscallError, UnsupportedError } from '../../syscall/index.js'
import { fakeKernel, openFake } from '../syscall/fake.js'

const nothing = [mov(r0, 0), exit()]

test('a point that the kernel lacks, or that is found in BTF alone, is refused by name', () => {
  assert.throws(() => programAt('it', { entry: 'tcp_connect' }, nothing), /^this kernel has no entry of tcp_connect$/)
  const places = { ...byName, mayHaveTracepoint: () => false }
  assert.throws(() => programAt('it', { rawTracepoint: 'gone' }, nothing, places), /^this kernel has no raw tracepoint gone$/)
})

test('a tracer gives back everything that it took, and knows its maps by name', () => {
  const kernel = openFake(fakeKernel().native)
  const tracer = startTracer(kernel, {
    maps: [{ name: 'numbers', type: 'hash', keySize: 4, valueSize: 8, maxEntries: 1 }],
    programs: [programAt('it', { rawTracepoint: 'sys_enter' }, nothing)],
  })
  assert.is(tracer.map('numbers').valueSize, 8)
  assert.throws(() => tracer.map('others'), /^the plan has no map others$/)
  assert.is(kernel.open, 3)
  tracer.close()
  assert.is(kernel.open, 0)
})

test('the first candidate that is taken is started, and what was refused before it is told', () => {
  const refusals = [new SyscallError('bpf', constants.errno.EPERM), new UnsupportedError('it')]
  const start = (index: number) => {
    const refusal = refusals[index]
    if (refusal !== undefined) throw refusal
    return `number ${index}`
  }
  const refused = refusals.map((error, candidate) => ({ candidate, error }))
  assert.equal(startFirst([0, 1, 2, 3], start), { candidate: 2, started: 'number 2', refused })
  assert.throws(() => startFirst([0, 1], start), (error: Error) => error === refusals[1])
})

test('what is no refusal is not taken for one', () => {
  let tried = 0
  assert.throws(() => startFirst([0, 1], () => { tried++; throw new TypeError('a mistake') }), /^a mistake$/)
  assert.is(tried, 1)
})

test.run()

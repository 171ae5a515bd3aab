import { constants } from 'node:os'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { attachIterator, attachRawTracepoint, attachTracing } from '../../syscall/link.js'
import { loadProgram } from '../../syscall/prog.js'
import { attachType, iterCreate, linkCreate, rawTracepoint } from '../../syscall/uapi.js'
import { type Answer, bufferOf, fakeKernel, numberOf } from '../kit/fake.js'

const { EAGAIN, EINVAL, EIO } = constants.errno

function withProgram(answer?: Answer) {
  const kernel = fakeKernel(answer)
  const spec = { name: 'p', type: 'tracing', insns: new Uint8Array(16), license: 'GPL' } as const
  const program = loadProgram(kernel.descriptors, spec)
  return { ...kernel, program }
}

test('a tracing program is attached to what it was loaded for', () => {
  const { descriptors, program, calls } = withProgram()
  attachTracing(descriptors, program)
  const call = calls.at(-1)!
  assert.equal([call.name, numberOf(call, rawTracepoint, 'prog_fd')], ['RAW_TRACEPOINT_OPEN', program.fd])
  assert.equal(call.pointers, [], 'no name')
})

test('a raw tracepoint is attached to by its name', () => {
  const { descriptors, program, calls } = withProgram()
  attachRawTracepoint(descriptors, program, 'tcp_probe')
  const call = calls.at(-1)!
  assert.equal([call.name, numberOf(call, rawTracepoint, 'prog_fd')], ['RAW_TRACEPOINT_OPEN', program.fd])
  assert.is(new TextDecoder().decode(bufferOf(call, rawTracepoint, 'name')), 'tcp_probe\0')
})

test('an iterator is a link, and each time it is read, what is made from it and closed again', () => {
  const { descriptors, program, calls, made, closed } = withProgram(({ name }) => name === 'read' ? 0 : undefined)
  const iterator = attachIterator(descriptors, program)
  const create = calls.at(-1)!
  assert.equal([create.name, numberOf(create, linkCreate, 'prog_fd'), numberOf(create, linkCreate, 'attach_type')],
    ['LINK_CREATE', program.fd, attachType.trace_iter])
  assert.equal(create.pointers, [], 'over no map')
  const link = made.at(-1)!
  for (const time of [1, 2]) {
    iterator.read()
    const [iterate, read] = calls.slice(-2)
    assert.equal([iterate!.name, numberOf(iterate!, iterCreate, 'link_fd'), read!.name], ['ITER_CREATE', link, 'read'])
    assert.equal(closed, made.slice(-time))
  }
  iterator.close()
  assert.is(closed.at(-1), link)
})

test('an iterator over map elements gets the map', () => {
  const { descriptors, program, calls } = withProgram()
  attachIterator(descriptors, program, { fd: 77, close: () => {} })
  assert.equal(bufferOf(calls.at(-1)!, linkCreate, 'iter_info'), Uint8Array.of(77, 0, 0, 0))
  assert.is(numberOf(calls.at(-1)!, linkCreate, 'iter_info_len'), 4)
})

test('an iterator that cannot be made leaves nothing open but the link', () => {
  const { descriptors, program } = withProgram(({ name }) => name === 'ITER_CREATE' ? -EINVAL : undefined)
  const iterator = attachIterator(descriptors, program)
  assert.throws(() => iterator.read(), /^bpf\(BPF_ITER_CREATE\): EINVAL$/)
  iterator.close()
  assert.is(descriptors.open, 1, 'the program')
})

test('a refused attachment is an error and leaves nothing open', () => {
  for (const name of ['RAW_TRACEPOINT_OPEN', 'LINK_CREATE']) {
    const { descriptors, program } = withProgram(call => call.name === name ? -EINVAL : undefined)
    const attach = name === 'LINK_CREATE' ? attachIterator : attachTracing
    assert.throws(() => attach(descriptors, program), new RegExp(`^bpf\\(BPF_${name}\\): EINVAL$`))
    assert.is(descriptors.open, 1, 'the program')
  }
})

/** An iterator whose reads return these, a text or an errno each. */
function iteratorOf(...reads: readonly (string | number)[]) {
  const left = [...reads]
  const kernel = withProgram(({ name, attr }) => {
    if (name !== 'read') return undefined
    const read = left.shift() ?? ''
    return typeof read === 'number' ? -read : new TextEncoder().encodeInto(read, attr).written
  })
  const read = () => new TextDecoder().decode(attachIterator(kernel.descriptors, kernel.program).read())
  return { left, read }
}

test('an iterator is read until it has no more, and its parts are put together', () => {
  assert.is(iteratorOf().read(), '')
  assert.is(iteratorOf('one').read(), 'one')
  assert.is(iteratorOf('one ', 'two ', 'x'.repeat(1 << 16), ' three').read(), `one two ${'x'.repeat(1 << 16)} three`)
})

test('a read that only wants to be asked again is asked again, as often as it takes', () => {
  assert.is(iteratorOf(EAGAIN, 'one ', EAGAIN, EAGAIN, EAGAIN, 'two', EAGAIN, '').read(), 'one two')
})

test('a read that fails is an error, and does not go on', () => {
  const iterator = iteratorOf('one', EIO, 'two')
  assert.throws(iterator.read, (error: NodeJS.ErrnoException) => error.code === 'EIO')
  assert.equal(iterator.left, ['two'])
})

test.run()

import { constants } from 'node:os'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { attachIterator, attachRawTracepoint, attachTracing } from '../../syscall/link.js'
import { loadProgram } from '../../syscall/prog.js'
import { attachType, iterCreate, linkCreate, rawTracepoint } from '../../syscall/uapi.js'
import { type Answer, bufferOf, fakeKernel, numberOf } from './fake.js'

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

test('an iterator is a link and what is made from it, closed together, the link last', () => {
  const { descriptors, program, calls, made, closed } = withProgram()
  const iterator = attachIterator(descriptors, program)
  const [create, iterate] = calls.slice(-2)
  assert.equal([create!.name, numberOf(create!, linkCreate, 'prog_fd'), numberOf(create!, linkCreate, 'attach_type')],
    ['LINK_CREATE', program.fd, attachType.trace_iter])
  const [link, file] = made.slice(-2)
  assert.equal([iterate!.name, numberOf(iterate!, iterCreate, 'link_fd'), iterator.fd], ['ITER_CREATE', link, file])
  iterator.close()
  assert.equal(closed, [file, link])
})

test('a link whose iterator cannot be made is closed', () => {
  const { descriptors, program, made, closed } = withProgram(({ name }) => name === 'ITER_CREATE' ? -EINVAL : undefined)
  assert.throws(() => attachIterator(descriptors, program), /^bpf\(BPF_ITER_CREATE\): EINVAL$/)
  assert.equal(closed, [made.at(-1)])
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

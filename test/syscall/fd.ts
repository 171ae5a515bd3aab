import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { attachIterator } from '../../syscall/link.js'
import { loadProgram } from '../../syscall/prog.js'
import { fakeKernel, openFake } from '../kit/fake.js'

test('a descriptor is counted while it is open, and closed once however often it is given back', () => {
  const { native, descriptors, made, closed } = fakeKernel()
  made.push(7, 8)
  const [seven, eight] = [descriptors.own(7), descriptors.own(8)]
  assert.equal([seven.fd, eight.fd, descriptors.open], [7, 8, 2])
  seven.close()
  seven.close()
  assert.equal([closed, descriptors.open], [[7], 1])
  eight.close()
  assert.equal([closed, descriptors.open], [[7, 8], 0])
  assert.is(descriptors.native, native)
})

test('a descriptor that the kernel fails to close is not open any more', () => {
  const { descriptors } = fakeKernel()
  const stray = descriptors.own(7)
  assert.throws(() => stray.close(), /descriptor 7 is not open/)
  assert.is(descriptors.open, 0)
})

test('everything that a kernel hands out is counted as open until it is closed', () => {
  const { native, made, closed } = fakeKernel()
  const kernel = openFake(native)
  const program = kernel.loadProgram({ name: 'p', type: 'tracing', insns: new Uint8Array(16), license: 'GPL' })
  const resources = [
    kernel.createMap({ name: 'm', type: 'hash', keySize: 4, valueSize: 8, maxEntries: 1 }),
    kernel.openMap('/sys/fs/bpf/map'),
    kernel.loadBtf(new Uint8Array(24)),
    program,
    kernel.attachTracing(program),
    kernel.attachRawTracepoint(program, 'tcp_probe'),
    kernel.attachIterator(program),
  ]
  assert.is(kernel.open, made.length)
  assert.is(made.length, resources.length)
  for (const resource of resources) {
    resource.close()
    resource.close()
  }
  assert.is(kernel.open, 0)
  assert.equal([...closed].sort(), made)
})

test('a copy of a descriptor’s properties closes the same descriptor', () => {
  const { descriptors, closed } = fakeKernel()
  const program = loadProgram(descriptors, { name: 'p', type: 'tracing', insns: new Uint8Array(16), license: 'GPL' })
  const copy = { ...program }
  copy.close()
  program.close()
  assert.is(closed.length, 1)
  const iterator = attachIterator(descriptors, program)
  const { close } = iterator
  close()
  iterator.close()
  assert.is(descriptors.open, 0)
})

test.run()

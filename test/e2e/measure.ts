import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { test as uvu } from 'uvu'
import * as assert from 'uvu/assert'
import { type Member, parseBtf } from '../../bpf-asm/index.js'
import { measureFields } from '../../src/locate/index.js'
import { fieldsOf } from '../../src/program/index.js'
import { openKernel } from '../../syscall/index.js'
import { standAlone } from '../kit/alone.js'
import { unless } from '../kit/privilege.js'

const { reason } = standAlone()
const test = (title: string, run: () => void | Promise<void>) => uvu(title, unless(reason, title, run))

/** Fields that have no place without BTF. */
const unmeasured = [
  'socketSk', 'fileInode', 'filePrivate', 'inodeMode', 'msgFlags', 'subflow', 'writePending', 'threadPid', 'pidLevel', 'pidNumbers', 'pidNamespaceInum',
  'cgroups', 'defaultCgroup', 'cgroupNode', 'cgroupId', 'cgroupParent', 'startTime',
]
/** BTF tells of a field of one byte as it was declared: as bits of a larger unit, before 5.6, or as a byte. */
const bytewise = ({ offset, size, bitOffset = 0 }: Member, bits: number) => bits <= 8 ? [8 * offset + bitOffset] : [8 * offset + bitOffset, size]

test('every field is where BTF says', () => {
  // Of MPTCP sockets BTF alone tells.
  const { mptcp: _, ...expected } = fieldsOf(parseBtf(readFileSync('/sys/kernel/btf/vmlinux')))
  const kernel = openKernel()
  const measured = measureFields(kernel) as Readonly<Record<string, unknown>> as Partial<Record<string, Member>>
  assert.is(kernel.open, 0, 'descriptors left open')
  for (const [name, member] of Object.entries(expected)) {
    if (unmeasured.includes(name)) continue
    assert.ok(measured[name], `${name} was not measured`)
    const bits = member.bitSize ?? 8 * member.size
    assert.equal(bytewise(measured[name], bits), bytewise(member, bits), name)
  }
})

test('it finds the same fields every time, also while the process has connections of its own', async () => {
  const kernel = openKernel()
  const server = createServer(socket => socket.end('hello')).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  const first = measureFields(kernel)
  for (let turn = 0; turn < 5; turn++) assert.equal(measureFields(kernel), first)
  server.close()
  assert.is(kernel.open, 0, 'descriptors left open')
})

test('threads keep their names', () => {
  writeFileSync('/proc/self/comm', 'a name')
  measureFields(openKernel())
  assert.is(readFileSync('/proc/self/comm', 'utf8'), 'a name\n')
})

uvu.run()

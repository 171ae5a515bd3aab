import { existsSync, readFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { assemble, leave, mov, parseBtf, r6 } from '../../bpf-asm/index.js'
import { connectionSize, emitConnection, sendConnection } from '../../src/trace/index.js'
import { unless } from '../kit/privilege.js'

const vmlinux = '/sys/kernel/btf/vmlinux'
const several = 'connections are sent any number of times in a program'
test(several, unless(existsSync(vmlinux) ? undefined : 'this kernel has no BTF', several, () => {
  const btf = parseBtf(readFileSync(vmlinux))
  const slots = (code: Parameters<typeof assemble>[0]) => assemble(code).slots
  const one = slots([mov(r6, 0), sendConnection('queue', btf, { pid: 7 }), leave()])
  assert.is(slots([mov(r6, 0), sendConnection('queue', btf, { pid: 7 }), sendConnection('queue', btf, { pid: 7 }), leave()]), 2 * one - 3)
  assert.is(slots([mov(r6, 0), emitConnection('queue', btf, 7)]), one)
  assert.is(connectionSize % 8, 0)
}))

test.run()

import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { assemble, type Code, exit, jeq, label, list, mov, r0, r1, r7 } from '../../bpf-asm/index.js'
import { uninterrupted } from '../../src/program/index.js'

const preemption = { disable: { name: 'off', id: 1 }, enable: { name: 'on', id: 2 } }

test('preemption is off from the first instruction to every end, and the context is where it was', () => {
  const program: Code = [jeq(r1, 0, 'none'), [mov(r7, r1), [mov(r0, 0), exit()]], label('none'), mov(r0, 0), exit()]
  assert.equal(list(assemble(uninterrupted(program, preemption))).map(line => line.replace(/^\d+: \(..\) /, '')), [
    'r6 = r1', 'call off#1', 'r1 = r6',
    'if r1 == 0x0 goto pc+5', 'r7 = r1', 'r0 = 0', 'call on#2', 'r0 = 0', 'exit',
    'r0 = 0', 'call on#2', 'r0 = 0', 'exit',
  ])
})

test.run()

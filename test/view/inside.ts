import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Pid } from '../../src/layout.js'
import { rowInside } from '../../src/view/inside.js'

const pidInside = (pid: number) => pid === 4711 ? 5 : undefined

test('a process of the namespace has its number there, and the host’s beside it', () => {
  assert.equal(rowInside({ pid: 4711, comm: 'sshd', rx: 1, tx: 2 }, pidInside), { pid: 5, hostPid: 4711, comm: 'sshd', rx: 1, tx: 2 })
})

test('a process that is not in the namespace has the host’s number alone', () => {
  assert.equal(rowInside({ pid: 4712, comm: 'sshd', rx: 1, tx: 2 }, pidInside), { hostPid: 4712, comm: 'sshd', rx: 1, tx: 2 })
})

test('what the kernel moved is the kernel’s in every namespace, and a row without a process is left alone', () => {
  for (const row of [{ pid: Pid.kernel, comm: 'kernel', rx: 1, tx: 2 }, { port: 22, rx: 1, tx: 2 }]) {
    assert.equal(rowInside(row, () => { throw new Error('the kernel was looked up') }), row)
  }
})

test.run()

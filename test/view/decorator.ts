import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Pid } from '../../src/layout.js'
import { CgroupPaths } from '../../src/view/cgroup.js'
import { cgroupPath, currentName, insideNamespace } from '../../src/view/decorator.js'

const inside = insideNamespace(pid => pid === 4711 ? 5 : undefined)()

test('a process of the namespace has its number there, and the host’s beside it', () => {
  assert.equal(inside({ pid: 4711, comm: 'sshd', rx: 1, tx: 2 }, undefined), { pid: 5, hostPid: 4711, comm: 'sshd', rx: 1, tx: 2 })
})

test('a process that is not in the namespace has the host’s number alone', () => {
  assert.equal(inside({ pid: 4712, comm: 'sshd', rx: 1, tx: 2 }, undefined), { hostPid: 4712, comm: 'sshd', rx: 1, tx: 2 })
})

test('what the kernel moved is the kernel’s in every namespace, and a row without a process is left alone', () => {
  const untouchable = insideNamespace(() => { throw new Error('the kernel was looked up') })()
  for (const row of [{ pid: Pid.kernel, comm: 'kernel', rx: 1, tx: 2 }, { port: 22, rx: 1, tx: 2 }]) {
    assert.equal(untouchable(row, undefined), row)
  }
})

test('a process has its name of now where that is known, unless its row keeps the one under which it was counted', () => {
  const named = currentName((pid, start) => pid === 7 && start === 5n ? 'new' : undefined)()
  const row = { pid: 7, comm: 'old', rx: 1, tx: 2 }
  assert.equal(named(row, 5n), { ...row, comm: 'new' })
  for (const [other, start] of [[row, 6n], [row, undefined], [{ ...row, pid: 8 }, 5n], [{ comm: 'old', rx: 1, tx: 2 }, 5n]] as const) assert.is(named(other, start), other)
})

test('a cgroup has its path, which is looked up when somebody reads it, and looked for once more in the next frame', () => {
  const found: { id: bigint; path: string }[] = []
  let [walks, now] = [0, 0]
  const begin = cgroupPath(new CgroupPaths(() => (walks++, found), () => now))
  const row = { cgroup: '7', rx: 1, tx: 2 }
  const first = begin()
  const unread = first(row, undefined)
  assert.is(walks, 0)
  assert.is(unread.cgroup, '7')
  found.push({ id: 7n, path: '/a' })
  now = 5
  assert.equal([first(row, undefined).cgroup, walks], ['7', 1])
  now = 10
  assert.equal([begin()(row, undefined).cgroup, walks], ['/a', 2])
})

test.run()

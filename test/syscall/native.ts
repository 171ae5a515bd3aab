import { closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { contentsOf } from '../../syscall/contents.js'
import { loadNative, type Pointer } from '../../syscall/native.js'
import { unless } from '../privilege.js'

const { EBADF, EFAULT, EINVAL, ENODATA } = constants.errno
const native = loadNative()
/** No command of bpf(): what the shim lets pass, the kernel refuses with EINVAL, or EPERM without privileges. */
const none = 9999

function stale(length: number): Uint8Array {
  const buffer = new ArrayBuffer(length)
  const view = new Uint8Array(buffer)
  structuredClone(buffer, { transfer: [buffer] })
  return view
}

test('the shim refuses a buffer that is shorter than what the kernel may touch', () => {
  const bpf = (pointers: readonly Pointer[]) => native.bpf(none, new Uint8Array(16), pointers)
  assert.is.not(bpf([]), -EFAULT)
  assert.is.not(bpf([[8, new Uint8Array(4), 4]]), -EFAULT)
  assert.is.not(bpf([[8, new Uint8Array(4), 0]]), -EFAULT)
  assert.is(bpf([[8, new Uint8Array(4), 5]]), -EFAULT)
  assert.is(bpf([[8, stale(64), 64]]), -EFAULT)
  assert.is(bpf([[0, new Uint8Array(4), 4], [8, stale(64), 1]]), -EFAULT)
})

test('the shim writes addresses into the attribute, and nowhere beside it', () => {
  const attr = new Uint8Array(16)
  assert.is.not(native.bpf(none, attr, [[8, new Uint8Array(4), 4]]), -EFAULT)
  const view = new DataView(attr.buffer)
  assert.is(view.getBigUint64(0, true), 0n)
  assert.is.not(view.getBigUint64(8, true), 0n)
  for (const offset of [9, 16, 17, 1000, 0xffff_ffff]) {
    assert.is(native.bpf(none, attr, [[offset, new Uint8Array(4), 4]]), -EFAULT, `at ${offset}`)
  }
  assert.is(native.bpf(none, new Uint8Array(4), [[0, new Uint8Array(4), 4]]), -EFAULT)
})

test('the shim refuses what has another type instead of reading it', () => {
  type Untyped = Record<'bpf' | 'perfEventOpen' | 'perfEventIoctl' | 'setCapabilities' | 'socketCall' | 'contents', (...values: readonly unknown[]) => number>
  const { bpf, perfEventOpen, perfEventIoctl, setCapabilities, socketCall, contents } = native as unknown as Untyped
  for (const attr of [undefined, null, 'x', [], {}, new Uint16Array(8), new ArrayBuffer(16), stale(16)]) {
    assert.is(bpf(none, attr, []), -EFAULT)
    assert.is(perfEventOpen(attr, 0, 0, -1, 0, []), -EFAULT)
  }
  const buffer = new Uint8Array(8)
  for (const pointers of [undefined, {}, [1], [[]], [[0]], [[0, buffer]], [['0', buffer, 8]], [[0, 'x', 1]]]) {
    assert.is(bpf(none, new Uint8Array(16), pointers), -EFAULT)
  }
  assert.is(bpf('0', new Uint8Array(16), []), -EFAULT)
  assert.is(perfEventOpen(new Uint8Array(16), 'x', 0, -1, 0, []), -EINVAL)
  assert.is(perfEventIoctl(), -EINVAL)
  assert.is(setCapabilities(), -EFAULT)
  assert.is(setCapabilities(new Uint8Array(24)), -EFAULT)
  for (const length of [0, 23, 25]) assert.is(setCapabilities(new Uint8Array(length), []), -EFAULT)
  assert.is(setCapabilities(stale(24), []), -EFAULT)
  assert.is(setCapabilities(new Uint8Array(24), ['1']), -EINVAL)
  assert.is(contents(), -EINVAL)
  assert.is(contents(0, '1'), -EINVAL)
  assert.is(socketCall(), -EINVAL)
  assert.is(socketCall(1, new Uint8Array(48), []), -EINVAL)
  assert.is(socketCall('socket'), -EFAULT)
  assert.is(socketCall('socket', new Uint8Array(40), []), -EFAULT)
  assert.is(socketCall('socket', new Uint8Array(48), [[41, new Uint8Array(8), 8]]), -EFAULT)
  assert.is(socketCall('execve', new Uint8Array(48), []), -constants.errno.ENOSYS)
})

// The last is one that cannot be mapped.
for (const path of ['/sys/kernel/btf/vmlinux', process.execPath, '/dev/null', '/sys/kernel/notes']) {
  const title = `a file is had as it is: ${path}`
  test(title, unless(existsSync(path) ? undefined : 'there is none', title, () => {
    assert.ok(readFileSync(path).equals(contentsOf(path)))
  }))
}

test('what a file has not is an error, not zeros', () => {
  const fd = openSync('/sys/kernel/notes', 'r')
  try {
    assert.is(native.contents(fd, 1e6), -ENODATA)
  } finally {
    closeSync(fd)
  }
  assert.is(native.contents(-1, 4096), -EBADF)
  assert.throws(() => contentsOf('/nowhere'), /ENOENT/)
})

test.run()

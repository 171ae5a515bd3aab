import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { constants, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { contentsOf } from '../../syscall/contents.js'
import { type AttrPointer, loadNative } from '../../syscall/native.js'
import { unless } from '../kit/privilege.js'

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
  const bpf = (pointers: readonly AttrPointer[]) => native.bpf(none, new Uint8Array(16), pointers)
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
  type Untyped = Record<'bpf' | 'perfEventOpen' | 'perfEventIoctl' | 'setCapabilities' | 'socketCall' | 'contents' | 'endOn' | 'endIn' | 'restoreAtEnd' | 'relay', (...values: readonly unknown[]) => number>
  const { bpf, perfEventOpen, perfEventIoctl, setCapabilities, socketCall, contents, endOn, endIn, restoreAtEnd, relay } = native as unknown as Untyped
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
  assert.is(endOn(), -EINVAL)
  assert.is(endIn('1'), -EINVAL)
  assert.is(restoreAtEnd(new Uint8Array(65)), -EINVAL)
  assert.is(relay('1'), -EINVAL)
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

test('reading beyond the end of a file is an error, not zeros', () => {
  const fd = openSync('/sys/kernel/notes', 'r')
  try {
    assert.is(native.contents(fd, 1e6), -ENODATA)
  } finally {
    closeSync(fd)
  }
  assert.is(native.contents(-1, 4096), -EBADF)
  assert.throws(() => contentsOf('/nowhere'), /ENOENT/)
})

test('what cannot be mapped is read, in as many pieces as it comes in', () => {
  // A pipe of two pages at most gives no more at once.
  const folder = mkdtempSync(join(tmpdir(), 'tcptop-'))
  const path = join(folder, 'pipe')
  const size = 300_000
  const wanted = Buffer.from(Array.from({ length: size }, (_, index) => index % 251))
  writeFileSync(join(folder, 'wanted'), wanted)
  execFileSync('mkfifo', [path])
  const writer = spawn('sh', ['-c', 'exec cat wanted > pipe'], { cwd: folder, stdio: 'inherit' })
  const fd = openSync(path, 'r')
  try {
    const found = native.contents(fd, size)
    assert.ok(found instanceof Uint8Array && wanted.equals(found))
  } finally {
    closeSync(fd)
    writer.kill()
    rmSync(folder, { recursive: true })
  }
})

/** A program that runs `code` with the shim as `native`, at the end of a command. */
function withShim(command: readonly string[], code: string): string {
  const shim = JSON.stringify(new URL('../../syscall/native.js', import.meta.url).href)
  const program = `import { loadNative } from ${shim}\nimport { readFileSync } from 'node:fs'\nconst native = loadNative()\n${code}`
  const [file = process.execPath, ...args] = [...command, process.execPath, '--input-type=module', '-e', program]
  return execFileSync(file, args, { encoding: 'utf8' }).trim()
}

test('where locked memory may not be unlimited, as much is allowed as may be', () => {
  const limits = ['prlimit', '--memlock=65536:1048576']
  const lacking = process.getuid?.() === 0 ? ['setpriv', '--inh-caps=-sys_resource', '--bounding-set=-sys_resource'] : []
  const code = "console.log(native.raiseMemlock(), /^Max locked memory +(\\d+) +(\\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')).slice(1).join())"
  assert.is(withShim([...limits, ...lacking], code), '0 1048576,1048576')
})

/** Calls the handler of the signal that gives up capabilities, where it may, and where it may not: it asks for what was given up. */
const interrupted = `
#include "${fileURLToPath(new URL('../../../syscall/binding.cc', import.meta.url))}"
int main() {
  for (unsigned wanted : {0u, ~0u}) {
    for (auto &half : capabilities) half = {wanted, wanted, 0};
    errno = 42;
    on_asked(0);
    if (errno != 42) return 1;
  }
  return answers == 1 ? 0 : 2;
}
`

const headers = join(dirname(dirname(process.execPath)), 'include/node')
const withoutCompiler = !existsSync(join(headers, 'node_api.h')) ? `there is no ${headers}`
  : spawnSync('g++', ['--version']).status === 0 ? undefined : 'there is no g++'
const signal = 'a thread that is interrupted to give up its capabilities goes on with its errno'
test(signal, unless(withoutCompiler, signal, () => {
  const folder = mkdtempSync(join(tmpdir(), 'tcptop-'))
  try {
    writeFileSync(join(folder, 'main.cc'), interrupted)
    const binding = dirname(createRequire(import.meta.url).resolve('node-addon-api'))
    const defines = ['-DNAPI_VERSION=8', '-DNAPI_DISABLE_CPP_EXCEPTIONS', '-DNODE_ADDON_API_DISABLE_DEPRECATED']
    // Node.js has the functions of Node-API: what calls them is dropped.
    const options = ['-std=c++17', '-O2', '-fno-exceptions', '-ffunction-sections', '-Wl,--gc-sections']
    execFileSync('g++', [...options, ...defines, `-I${headers}`, `-I${binding}`, '-o', 'main', 'main.cc'], { cwd: folder })
    assert.is(spawnSync(join(folder, 'main')).status, 0)
  } finally {
    rmSync(folder, { recursive: true })
  }
}))

test.run()

import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { standAlone } from '../kit/alone.js'
import { wantsOf } from '../kit/elf.js'
import { unless } from '../kit/privilege.js'
import { complains, run } from './outcome.js'
import { packed, root, unpack, withoutPackage } from './pack.js'
import { countsExactly } from './watch.js'

const alone = standAlone()
const folder = withoutPackage === undefined ? unpack() : ''
const packageTest = (title: string, run: () => void | Promise<void>) => test(title, unless(withoutPackage, title, run))
const runPacked = (at: string, ...args: string[]) => run(process.execPath, [packed(at), ...args])

/** What glibc and musl both have, of all that the shim wants beside Node-API. */
const everywhere = [
  '__errno_location', '__libc_current_sigrtmax', '__stack_chk_fail', 'free', 'getpid', 'ioctl', 'malloc', 'memcpy', 'munmap', 'read', 'sigaction',
  'strcmp', 'strlen', 'syscall', 'usleep',
]
const machines = { x64: 62, arm64: 183 } as const

for (const [arch, machine] of Object.entries(machines)) {
  packageTest(`the shim for ${arch} loads on glibc from 2.28 on, and on musl: it wants no library but libc, and of that what both have`, () => {
    const wants = wantsOf(readFileSync(join(folder, `prebuilt/linux-${arch}/tcptop.node`)))
    assert.is(wants.machine, machine)
    assert.equal(wants.libraries.filter(name => name !== 'libc.so.6' && !name.startsWith('ld-linux-')), [])
    assert.ok(wants.symbols.includes('syscall') && wants.versions.length > 0, 'the file was not understood')
    assert.equal(wants.symbols.filter(name => !name.startsWith('napi_') && !everywhere.includes(name)), [])
    const tooNew = wants.versions.filter(version => !(Number(/^GLIBC_2\.(\d+)(\.\d+)?$/.exec(version)?.[1]) <= 28))
    assert.equal(tooNew, [])
  })
}

packageTest('a package is small and has no dependencies', () => {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map(name => statSync(join(folder, name))).filter(file => file.isFile())
  const bytes = files.reduce((sum, { size }) => sum + size, 0)
  // tcptop, with its screen and recordings, is a third of it; the rest are the library with its types and the accounting, five tools, the pages, shims
  // for two machines and what another takes.
  assert.ok(bytes <= 1_150_000, `${bytes} bytes`)
  const about = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, object | undefined>
  for (const kind of ['dependencies', 'optionalDependencies', 'peerDependencies', 'bundleDependencies']) assert.is(about[kind], undefined, kind)
})

packageTest('the unpacked package prints its version, help and programs', async () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly version: string }
  assert.equal(await runPacked(folder, '--version'), { status: 0, out: `tcptop ${version}\n`, err: '' })
  assert.is((await runPacked(folder, '--help')).out, readFileSync(join(root, 'test/golden/help.txt'), 'utf8'))
  const listing = await runPacked(folder, '--dump-bpf', '--backend', 'tracepoint')
  assert.is(listing.status, 0, listing.err)
  assert.match(listing.out, /^; backend tracepoint\n/)
})

packageTest('the tools of the package are commands', () => {
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { readonly bin: Readonly<Record<string, string>> }
  assert.equal(Object.keys(bin), ['tcptop', 'funccount', 'tcpaccept', 'tcpconnect', 'tcplife', 'tcpretrans'])
  for (const [name, path] of Object.entries(bin)) {
    assert.match(readFileSync(join(folder, path), 'utf8'), /^#!\/usr\/bin\/env node\n/)
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(folder, path), '--help'], { encoding: 'utf8' })
    assert.equal([status, stderr, stdout.startsWith(`Usage: ${name} `)], [0, '', true])
  }
})

const counts = 'the unpacked package counts to the byte'
test(counts, unless(withoutPackage ?? alone.reason, counts, () => countsExactly([], [], packed(folder))))

packageTest('where no packed shim fits, one is built from source; where that is not done, one line says so', async () => {
  const other = mkdtempSync(join(tmpdir(), 'tcptop-package-'))
  try {
    cpSync(folder, other, { recursive: true })
    writeFileSync(join(other, `prebuilt/linux-${process.arch}/tcptop.node`), '\x7fELF of another machine')
    complains(await runPacked(other, '0.1', '1'), 1, 'does not fit this machine: run npm run build')
    rmSync(join(other, 'prebuilt'), { recursive: true })
    complains(await runPacked(other, '0.1', '1'), 1, 'the native shim is not built: run npm run build')
    const build = await run('npm', ['run', '--silent', 'build', '--prefix', other])
    assert.is(build.status, 0, build.err)
    const { err } = await runPacked(other, '0.1', '1')
    assert.not.match(err, 'native shim')
  } finally {
    rmSync(other, { recursive: true })
  }
})

test('a package has the shims whose compilers are here; missing ones are reported, and none at all is an error', () => {
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'tools/build.mjs'), '--pack'], { env: { PATH: '/nowhere' }, encoding: 'utf8' })
  assert.is(status, 1)
  assert.equal(stderr.trimEnd().split('\n'), [
    'build: the package has no shim for arm64: aarch64-linux-gnu-g++ is not here, of Debian\'s package g++-aarch64-linux-gnu',
    'build: the package has no shim for x64: x86_64-linux-gnu-g++ is not here, of Debian\'s package g++-x86-64-linux-gnu',
    'build: a package without any shim is not made',
  ])
})

packageTest('a package has what its README links to, and an installable man page', () => {
  const readme = readFileSync(join(folder, 'README.md'), 'utf8')
  const links = [...readme.matchAll(/\]\(([^)#:]+)\)/g)].map(([, path = '']) => path)
  assert.ok(links.length > 0)
  const { man } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { readonly man: readonly string[] }
  for (const path of [...links, ...man, 'LICENSE']) assert.ok(existsSync(join(folder, path)), path)
  assert.ok(Array.isArray(man) && man.length > 0)
})

test.run()

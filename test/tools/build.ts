import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, lchownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { unless } from '../kit/privilege.js'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const built = 'syscall/build/Release/tcptop.node'
const prebuilt = `prebuilt/linux-${process.arch}/tcptop.node`

/** Runs `run` with a folder that has what a package builds the shim from, and no shim. */
function withPackage(run: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'tcptop-build-'))
  chmodSync(folder, 0o755)
  try {
    for (const name of ['package.json', 'tools/build.mjs', 'syscall/binding.cc', 'syscall/binding.gyp']) {
      mkdirSync(join(folder, dirname(name)), { recursive: true })
      copyFileSync(join(root, name), join(folder, name))
    }
    mkdirSync(join(folder, 'syscall/include'))
    for (const name of ['napi.h', 'napi-inl.h']) copyFileSync(join(root, 'node_modules/node-addon-api', name), join(folder, 'syscall/include', name))
    run(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function build(folder: string, env: NodeJS.ProcessEnv = process.env): { readonly status: number | null; readonly stderr: string } {
  const { status, stderr } = spawnSync(process.execPath, [join(folder, 'tools/build.mjs')], { env, encoding: 'utf8' })
  return { status, stderr }
}

/** The paths below a folder that are not of this user. */
const ofOthers = (folder: string, uid: number) => readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name => statSync(join(folder, name)).uid !== uid)

test('without a compiler one line says what to install, and that a package needs none', () => withPackage(folder => {
  const { status, stderr } = build(folder, { PATH: '/nowhere' })
  assert.is(status, 1)
  const [progress = '', reason = '', ...more] = stderr.trimEnd().split('\n')
  assert.match(progress, /^build: native shim …$/)
  assert.match(reason, /^build: the native shim is built with g\+\+, make and python3, and g\+\+ and make and python3 are not here: install them \(Debian: apt install g\+\+ make python3\), or a package .* which needs none of them$/)
  assert.equal(more, [])
}))

test('a shim that fits is used, and no compiler then', () => withPackage(folder => {
  mkdirSync(join(folder, dirname(prebuilt)), { recursive: true })
  const shim = [built, prebuilt].map(name => join(root, name)).find(existsSync)!
  copyFileSync(shim, join(folder, prebuilt))
  assert.equal(build(folder, { PATH: '/nowhere' }), { status: 0, stderr: '' })
  writeFileSync(join(folder, prebuilt), '\x7fELF of another machine')
  assert.is(build(folder, { PATH: '/nowhere' }).status, 1)
}))

const asOwner = 'what root builds in somebody else’s checkout is the owner’s, also what root built there before'
test(asOwner, unless(process.getuid?.() === 0 ? undefined : 'only root builds for others', asOwner, () => withPackage(folder => {
  const nobody = 65534
  for (const name of ['', ...readdirSync(folder, { recursive: true, encoding: 'utf8' })]) lchownSync(join(folder, name), nobody, nobody)
  mkdirSync(join(folder, 'dist/.stamp'), { recursive: true })
  writeFileSync(join(folder, 'dist/.stamp/of-root'), '')
  const { status, stderr } = build(folder)
  assert.is(status, 0, stderr)
  assert.match(stderr, /^build: native shim …\nbuild: native shim: done in \d+ s\n$/)
  assert.ok(existsSync(join(folder, built)))
  assert.equal(ofOthers(folder, nobody), [])
})))

test.run()

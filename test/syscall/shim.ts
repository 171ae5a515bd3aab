import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { contentsOf } from '../../syscall/contents.js'
import type { loadNative } from '../../syscall/native.js'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const built = 'syscall/build/Release/tcptop.node'
const prebuilt = `prebuilt/linux-${process.arch}/tcptop.node`
/** One that fits, also in a guest. */
const real = [prebuilt, built].map(place => join(root, place)).find(existsSync) ?? ''

/** The modules of syscall/ in an installation where these shims are: the real one, or another machine's. */
async function within<Result>(
  shims: Readonly<Record<string, 'real' | 'foreign' | 'cut'>>, body: (load: <Module>(name: string) => Promise<Module>) => Promise<Result>,
): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), 'tcptop-'))
  try {
    cpSync(join(root, 'dist/syscall'), join(folder, 'dist/syscall'), { recursive: true })
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
    for (const [place, kind] of Object.entries(shims)) {
      const path = join(folder, place)
      mkdirSync(dirname(path), { recursive: true })
      if (kind === 'real') copyFileSync(real, path)
      else if (kind === 'cut') writeFileSync(path, readFileSync(real).subarray(0, 8192))
      else writeFileSync(path, '\x7fELF of another machine')
    }
    return await body(name => import(pathToFileURL(join(folder, 'dist/syscall', name)).href))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** What loadNative does there. */
const load = (shims: Parameters<typeof within>[0]) =>
  within(shims, async load => (await load<{ loadNative: typeof loadNative }>('native.js')).loadNative())

async function refusal(shims: Parameters<typeof load>[0]): Promise<Error> {
  try {
    await load(shims)
  } catch (error) {
    return error as Error
  }
  throw new Error('a shim was loaded')
}

test('the shim that was built here is loaded', async () => {
  assert.type((await load({ [built]: 'real' })).bpf, 'function')
})

test('one that was built elsewhere for this kind of machine is loaded, also where another machine’s was built here', async () => {
  assert.type((await load({ [prebuilt]: 'real' })).bpf, 'function')
  assert.type((await load({ [built]: 'foreign', [prebuilt]: 'real' })).bpf, 'function')
})

test('one that was built elsewhere does not matter beside one that was built here', async () => {
  assert.type((await load({ [built]: 'real', [prebuilt]: 'foreign' })).bpf, 'function')
})

test('without a shim that fits, what is wrong is said, with the reason for the one that was built here', async () => {
  assert.match((await refusal({})).message, /^the native shim is not built: run npm run build/)
  assert.match((await refusal({ 'prebuilt/linux-mips/tcptop.node': 'real' })).message, /is not built/)
  const error = await refusal({ [built]: 'foreign', [prebuilt]: 'foreign' })
  assert.is(error.name, 'UnsupportedError')
  assert.match(error.message, /^the native shim \S+\/syscall\/build\/Release\/tcptop\.node, \S+\/prebuilt\/\S+ does not fit this machine: /)
  assert.match((error.cause as Error).message, /syscall\/build\/Release/)
})

test('without a shim a file of the kernel is read as any other', async () => {
  await within({}, async load => {
    const contents = await load<{ contentsOf: typeof contentsOf }>('contents.js')
    for (const path of [process.execPath, '/proc/version']) assert.ok(readFileSync(path).equals(contents.contentsOf(path)), path)
  })
})

test('a truncated shim, which would crash the process, is not loaded: it is reported, or another one used', async () => {
  assert.match((await refusal({ [built]: 'cut' })).message, /^the native shim \S+ is damaged: install it again, or run npm run build$/)
  assert.type((await load({ [built]: 'cut', [prebuilt]: 'real' })).bpf, 'function')
})

test.run()

import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'

const root = fileURLToPath(new URL('../..', import.meta.url))
const bin = join(root, 'dist/bin')
const listed = ['--dump-bpf', '-f', 'json', '--btf', join(root, 'test/fixture/btf/6.1-x86_64.btf')]

interface Listing {
  readonly programs: readonly { readonly insns: readonly { readonly file?: string; readonly line?: number }[] }[]
}

/** Where the instructions of all programs were emitted, by the tool that is at `script`. */
function sourcesBy(script: string): { readonly file: string | undefined; readonly line: number | undefined }[] {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...listed], { encoding: 'utf8', maxBuffer: 2 ** 26 })
  assert.is(status, 0, stderr)
  return (JSON.parse(stdout) as Listing).programs.flatMap(({ insns }) => insns).map(({ file, line }) => ({ file, line }))
}

/** Runs `run` with a copy of what users start in a folder of this name. */
function withCopy(name: string, run: (folder: string) => void): void {
  const above = mkdtempSync(join(tmpdir(), 'tcptop-start-'))
  try {
    const folder = join(above, name)
    cpSync(bin, join(folder, 'dist/bin'), { recursive: true })
    cpSync(join(root, 'package.json'), join(folder, 'package.json'))
    run(folder)
  } finally {
    rmSync(above, { recursive: true })
  }
}

test('what users start knows the lines of source as the modules do, also where it was moved', () => {
  const modules = sourcesBy(join(root, 'dist/src/cli.js'))
  assert.ok(modules.length > 1000 && modules.every(({ file, line }) => file?.includes('/src/program/') && line! > 0))
  assert.equal(sourcesBy(join(bin, 'tcptop.js')), modules)
  withCopy('with a blank', folder => {
    const moved = sourcesBy(join(folder, 'dist/bin/tcptop.js'))
    assert.equal(moved, modules.map(({ file, ...rest }) => ({ file: file!.replace(root, `${folder}/`), ...rest })))
  })
})

test('what users start takes command lines out of the ordinary as the modules do', () => {
  const said = (script: string) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, '--pid', '--', '1'], { encoding: 'utf8' })
    return [status, stdout, stderr]
  }
  const modules = said(join(root, 'dist/src/cli.js'))
  assert.match(String(modules[2]), /^tcptop: --pid must be /)
  assert.equal(said(join(bin, 'tcptop.js')), modules)
})

const cut = (share: number) => (file: string) => writeFileSync(file, readFileSync(file).subarray(0, share))

for (const [damage, name, how, option] of [
  ['missing', 'program.js', rmSync, '--version'], ['cut', 'program.js', cut(10_000), '--version'], ['missing', 'package.json', rmSync, '--version'],
  ['missing', 'yargs.js', rmSync, '--pid'], ['cut', 'yargs.js', cut(10_000), '--pid'],
] as const) {
  test(`an installation whose ${name} is ${damage} says so in one line`, () => withCopy('damaged', folder => {
    how(join(folder, 'dist/bin', name))
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(folder, 'dist/bin/tcptop.js'), option], { encoding: 'utf8' })
    assert.equal([status, stdout], [1, ''])
    assert.match(stderr, new RegExp(`^tcptop: this installation is damaged: [^\\n]*${name.replace(/\.js$/, '')}[^\\n]+: install it again, or run npm run build\\n$`))
  }))
}

test('truncated or missing WebAssembly is reported in one line by its loader', async () => {
  for (const how of [rmSync, cut(1000)]) {
    const folder = mkdtempSync(join(tmpdir(), 'tcptop-wasm-'))
    try {
      for (const name of ['src', 'bpf-asm', 'syscall', 'wasm']) cpSync(join(root, 'dist', name), join(folder, 'dist', name), { recursive: true })
      cpSync(join(root, 'package.json'), join(folder, 'package.json'))
      const file = join(folder, 'dist/wasm/aggregate.wasm')
      how(file)
      const { loadAggregate } = await import(pathToFileURL(join(folder, 'dist/src/frame/aggregate.js')).href) as typeof import('../src/frame/aggregate.js')
      const message = await loadAggregate(new Uint8Array(100)).then(() => 'loaded', error => (error as Error).message)
      assert.match(message, /^this installation is damaged: [^\n]+aggregate\.wasm: [^\n]+: install it again, or run npm run build$/)
    } finally {
      rmSync(folder, { recursive: true })
    }
  }
})

test.run()

import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
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

/** Starts it, and tells what V8 made of the code beside the program: taken, refused, or none when it was not given any. */
function codeTakenBy(folder: string): string {
  const hook = join(folder, 'dist/bin/hook.cjs')
  writeFileSync(hook, `
    const vm = require('node:vm')
    const { Script } = vm
    vm.Script = class extends Script {
      constructor(text, options) {
        super(text, options)
        console.log(options.cachedData === undefined ? 'none' : this.cachedDataRejected ? 'refused' : 'taken')
      }
    }`)
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-r', hook, join(folder, 'dist/bin/tcptop.js'), '--version'], { encoding: 'utf8' })
  assert.equal([status, stderr], [0, ''])
  const [taken = '', said = ''] = stdout.split('\n')
  assert.match(said, /^tcptop \d/)
  return taken
}

/** Lets a copy take its code as if it had been built where it is. */
function settle(folder: string): string {
  const start = join(folder, 'dist/bin/tcptop.js')
  const here = (where: string) => pathToFileURL(join(where, 'dist/bin/program.js')).href
  const text = readFileSync(start, 'utf8')
  assert.ok(text.includes(here(root)))
  writeFileSync(start, text.replace(here(root), here(folder)))
  return join(folder, 'dist/bin', readdirSync(join(folder, 'dist/bin')).find(name => name.endsWith('.code'))!)
}

test('a start takes the code that V8 made of the program, where it was built', () => withCopy('moved', folder => {
  assert.is(codeTakenBy(folder), 'none')
  settle(folder)
  assert.is(codeTakenBy(folder), 'taken')
}))

for (const [title, change, taken] of [
  ['missing', (code: string) => rmSync(code), 'none'],
  ['cut off', (code: string) => writeFileSync(code, readFileSync(code).subarray(0, 100_000)), 'refused'],
  ['empty', (code: string) => writeFileSync(code, ''), 'refused'],
  ['of another engine', (code: string) => writeFileSync(code, readFileSync(code).fill(0x5a, 0, 64)), 'refused'],
] as const) {
  test(`the program runs as well where that code is ${title}`, () => withCopy('moved', folder => {
    change(settle(folder))
    assert.is(codeTakenBy(folder), taken)
  }))
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

test('a program that is missing or cut is told in one line', () => {
  for (const damage of [(file: string) => rmSync(file), (file: string) => writeFileSync(file, readFileSync(file).subarray(0, 10_000))]) {
    withCopy('damaged', folder => {
      const file = join(folder, 'dist/bin/program.js')
      damage(file)
      const { status, stdout, stderr } = spawnSync(process.execPath, [join(folder, 'dist/bin/tcptop.js'), '--version'], { encoding: 'utf8' })
      assert.equal([status, stdout], [1, ''])
      assert.match(stderr, /^tcptop: this installation is damaged: [^\n]*program\.js: [^\n]+: install it again, or run npm run build\n$/)
    })
  }
})

test.run()

import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'

const root = fileURLToPath(new URL('../..', import.meta.url))
const bin = join(root, 'dist/bin')
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly version: string }

test('V8 takes the code that it made of the program, with the flags that a start sets', () => {
  const accepted = (flag: string) => spawnSync(process.execPath, ['-e', `
    require('node:v8').setFlagsFromString('${flag}')
    const read = name => require('node:fs').readFileSync('${bin}/' + name)
    console.log(new (require('node:vm').Script)(read('program.js').toString('latin1'), { cachedData: read('program.code') }).cachedDataRejected)`,
  ], { encoding: 'utf8' }).stdout
  assert.is(accepted('--no-turbofan'), 'false\n')
  assert.is(accepted('--no-sparkplug'), 'true\n')
})

for (const [title, change] of [
  ['missing', (code: string) => rmSync(code)],
  ['cut off', (code: string) => writeFileSync(code, readFileSync(code).subarray(0, 100_000))],
  ['empty', (code: string) => writeFileSync(code, '')],
  ['of another engine', (code: string) => writeFileSync(code, readFileSync(code).fill(0x5a, 0, 64))],
] as const) {
  test(`the program runs as well where that code is ${title}`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'tcptop-start-'))
    try {
      cpSync(bin, join(folder, 'dist/bin'), { recursive: true })
      cpSync(join(root, 'package.json'), join(folder, 'package.json'))
      change(join(folder, 'dist/bin/program.code'))
      const { status, stdout, stderr } = spawnSync(process.execPath, [join(folder, 'dist/bin/tcptop.js'), '--version'], { encoding: 'utf8' })
      assert.equal({ status, stdout, stderr }, { status: 0, stdout: `tcptop ${version}\n`, stderr: '' })
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
}

test.run()

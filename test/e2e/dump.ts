import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { unless, whyUnprivileged } from '../kit/privilege.js'
import { isAtLeast } from '../kit/release.js'
import { cli } from './tool.js'

interface Dump {
  readonly programs: readonly {
    readonly name: string
    readonly slots: number
    readonly verified: number
    readonly jited: number
    readonly insns: readonly { readonly file: string; readonly line: number }[]
  }[]
}

const linesOf = (file: string) => readFileSync(file, 'utf8').split('\n').length

const title = 'with -v the dump is what this kernel has taken, and the lines of source are those of this checkout'
test(title, unless(whyUnprivileged(), title, () => {
  const text = execFileSync(process.execPath, [cli, '--dump-bpf', '-v', '-f', 'json'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  const { programs } = JSON.parse(text) as Dump
  assert.ok(programs.length > 4)
  for (const { name, slots, verified, jited, insns } of programs) {
    if (isAtLeast('5.16')) assert.ok(verified > slots / 10, `${name}: ${verified}`)
    assert.ok(jited === 0 || jited > slots, `${name}: ${jited}`)
    for (const { file, line } of insns) {
      assert.match(file, /\/src\/program\/[a-z-]+\.ts$/)
      assert.ok(line >= 1 && line <= linesOf(file), `${file}:${line}`)
    }
  }
}))

test.run()

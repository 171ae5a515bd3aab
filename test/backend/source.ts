import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { mov, placeOf, r0 } from '../../bpf-asm/index.js'
import { sources } from '../../src/backend/source.js'

const readText = (path: string) => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
const here = placeOf(mov(r0, 0))! // this line

test('a place in JavaScript is shown as the line of TypeScript that it was compiled from', () => {
  const source = sources(readText)(here)
  assert.is(source.file, fileURLToPath(new URL('../../../test/backend/source.ts', import.meta.url)))
  assert.is(source.text, 'const here = placeOf(mov(r0, 0))! // this line')
  assert.is(readFileSync(source.file, 'utf8').split('\n')[source.line - 1], source.text)
  assert.is(source.column, source.text!.indexOf('mov') + 1)
})

test('a source map is read once, and without one a place is what it is', () => {
  const read: string[] = []
  const sourceOf = sources(path => void read.push(path))
  const file = fileURLToPath(here.file)
  for (let time = 0; time < 2; time++) assert.equal(sourceOf(here), { ...here, file })
  assert.equal(sourceOf({ ...here, file }), { ...here, file })
  assert.equal(read, [`${file}.map`, `${file}.map`])
})

test.run()

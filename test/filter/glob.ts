import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { matchesGlob, readGlob } from '../../src/filter/index.js'

for (const [glob, text, matches] of [
  ['nginx', 'nginx', true], ['nginx', 'nginx2', false], ['nginx', 'NGINX', false],
  ['*', '', true], ['*', 'a\nb', true], ['a*', 'a', true], ['*a', 'ba', true], ['*a*', 'bab', true], ['a*b*c', 'aXbXc', true], ['a*b*c', 'aXcXb', false],
  ['?', '', false], ['?', 'a', true], ['?', '日', true], ['?', '😀', true], ['??', '😀', false],
  ['[abc]', 'b', true], ['[abc]', 'd', false], ['[a-c]x', 'bx', true], ['[!a-c]', 'b', false], ['[!a-c]', 'd', true], ['[^a-c]', 'd', true], ['[!a]', '', false],
  ['[]]', ']', true], ['[]a]', 'a', true], ['[!]]', 'a', true], ['[!]]', ']', false], ['[a-]', '-', true], ['[*]', '*', true], ['[*]', 'a', false],
  ['[α-ω]', 'λ', true], ['[😀-😂]', '😁', true],
  ['a.c', 'abc', false], ['\\d', '\\d', true], ['\\*', '\\x', true], ['a]', 'a]', true],
] as const) {
  test(`the glob ${glob} ${matches ? 'matches' : 'does not match'} ${JSON.stringify(text)}`, () => {
    assert.is(matchesGlob(readGlob(glob)!, text), matches)
  })
}

test('a class that is not closed, empty or descending is no glob', () => {
  for (const text of ['[', 'a[b', '[]', '[!]', '[b-a]']) assert.is(readGlob(text), undefined, text)
})

test('a glob of many stars takes no more steps than the product of the lengths', () => {
  const glob = readGlob(`${'*a'.repeat(30)}*b`)!
  const start = performance.now()
  assert.not(matchesGlob(glob, 'a'.repeat(4000)))
  assert.ok(performance.now() - start < 1000)
})

test.run()

import { spawnSync } from 'node:child_process'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { cells, cut, jsonText, pad, printable } from '../../src/trace/index.js'
import { Random } from '../kit/random.js'

const hex = (text: string) => [...text].map(character => character.codePointAt(0)!.toString(16)).join(' ')

for (const [title, text, expected] of [
  ['control characters', 'a\x00\t\n\x1b\x7f\x9bb', 'a??????b'],
  ['characters that turn the direction of what follows', 'a\u202eb\u2066', 'a?b?'],
  ['line separators', '\u2028\u2029', '??'],
  ['halves of characters', '\ud800x', '?x'],
  ['fillers and joiners, which cannot be seen', '\u3164\u200d\u115f\u2060', '????'],
] as const) {
  test(`${title} are not printed`, () => assert.is(printable(text), expected))
}

test('every C0, DEL, C1, bidirectional and separator character is replaced, and escaped in JSON', () => {
  const ranges = [[0, 0x1f], [0x7f, 0x9f], [0x200e, 0x200f], [0x2028, 0x202e], [0x2066, 0x2069], [0x61c, 0x61c]] as const
  for (const [first, last] of ranges) {
    for (let code = first; code <= last; code++) {
      const text = `a${String.fromCharCode(code)}b`
      assert.is(printable(text), 'a?b', hex(text))
      const json = jsonText({ text })
      assert.match(json, /^[\x20-\x7e]*$/, hex(text))
      assert.equal(JSON.parse(json), { text })
    }
  }
})

test('all that has a shape is printed', () => {
  for (const text of ['a b', 'kworker/0:1-ev', 'été', 'データ', '🐧', '\ufffd']) assert.is(printable(text), text)
})

test('any text is the same again when its JSON is parsed', () => {
  const random = new Random()
  random.repeat(2000, () => {
    const text = String.fromCharCode(...Array.from({ length: random.below(8) }, () => random.below(random.pick([0x100, 0x2100, 0x10000]))))
    assert.is(JSON.parse(jsonText(text)), text)
  })
})

for (const [text, width] of [
  ['', 0], ['sshd', 4], ['été', 3], ['e\u0301', 1], ['データ', 6], ['한글', 4], ['\u1112\u1161\u11ab', 2], ['🐧', 2], ['🇩🇪', 2], ['＝', 2], ['ｶ', 1], ['☎', 1],
  ['⌚', 2], ['\ufffd', 1], ['ก็', 1], ['𝒳', 1], ['䷀', 1], ['𠀀', 2],
] as const) {
  test(`${JSON.stringify(text)} takes ${width} cells`, () => assert.is(cells(text), width))
}

test('every character that is printed takes as many cells as Unicode’s own tables say', () => {
  const characters = Array.from({ length: 0x110000 }, (_, code) => code)
    .filter(code => (code < 0xd800 || code > 0xdfff) && printable(String.fromCodePoint(code)) !== '?')
  // Python has those tables, sometimes of an older Unicode: what is not assigned there is not compared.
  const script = 'import sys, unicodedata as u\nfor line in sys.stdin: c = chr(int(line)); print(u.category(c), u.east_asian_width(c))'
  const { status, stdout, stderr } = spawnSync('python3', ['-c', script], { input: characters.join('\n'), encoding: 'utf8', maxBuffer: 2 ** 26 })
  assert.is(status, 0, stderr)
  const wrong = stdout.trim().split('\n').flatMap((line, index) => {
    const [category, width] = line.split(' ')
    const character = String.fromCodePoint(characters[index]!)
    // The vowels and finals of Hangul are drawn into the syllable, of which no width tells.
    const none = /[\p{Mn}\p{Me}\u1160-\u11ff\ud7b0-\ud7ff]/u.test(character)
    const expected = none ? 0 : width === 'W' || width === 'F' ? 2 : 1
    return category === 'Cn' || cells(character) === expected ? [] : [`${hex(character)}: ${cells(character)}, not ${expected}`]
  })
  assert.equal(wrong, [])
})

for (const [text, width, expected] of [
  ['more than 12 chr', 12, 'more than 12'], ['データ', 5, 'デー'], ['ae\u0301\u0302b', 2, 'ae\u0301\u0302'], ['🐧', 1, ''], ['abc', 12, 'abc'],
] as const) {
  test(`${JSON.stringify(text)} is cut to ${width} cells as ${JSON.stringify(expected)}`, () => assert.is(cut(text, width), expected))
}

test('what is cut and padded has exactly its width, and no mark is left without its character', () => {
  const random = new Random()
  const alphabet = ['a', 'é', 'e\u0301', 'デ', '🐧', '\u0300', '한']
  random.repeat(2000, () => {
    const text = Array.from({ length: random.below(10) }, () => random.pick(alphabet)).join('')
    const width = random.below(14)
    assert.is(cells(pad(cut(text, width), width, random.pick(['left', 'right']))), width, hex(text))
    assert.ok(text.startsWith(cut(text, width)))
  })
})

test.run()

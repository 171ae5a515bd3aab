import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { FilterError, parse, print, splitWords } from '../../src/filter/index.js'
import { UsageError } from '../../src/usage-error.js'
import { Random } from '../kit/random.js'
import { randomFilter } from './random.js'

const dialect = { portOf: (name: string) => name === 'https' ? 443 : undefined }

/** Words by `;`, as a shell passes them on; then what they are. */
const cases: readonly (readonly [words: string, filter: string | undefined, interval?: string, count?: string])[] = [
  // The issue's.
  ['port;443', 'port = 443'],
  ['port;443;5;10', 'port = 443', '5', '10'],
  ['5;10;port;443', 'port = 443', '5', '10'],
  ['comm = nginx;0.5', 'comm = nginx', '0.5'],
  // Numbers alone, and none.
  ['', undefined],
  ['5', undefined, '5'],
  ['5;10', undefined, '5', '10'],
  ['.5', undefined, '.5'],
  ['5.;1', undefined, '5.', '1'],
  // The longest text that is an expression: a number is a value as long as that is one.
  ['port;443;5', 'port = 443', '5'],
  ['pid;5;10', 'pid = 5', '10'],
  ['pid;5', 'pid = 5'],
  ['pid;=;5', 'pid = 5'],
  ['pid;=;5;6;7', 'pid = 5', '6', '7'],
  ['uid;0;or;pid;5;6', 'uid = 0 or pid = 5', '6'],
  ['comm;7;5', 'comm = 7', '5'],
  ['port;443,;5;10', 'port = 443,5', '10'],
  ['loopback;5', 'loopback', '5'],
  ['not;loopback;5;10', 'not loopback', '5', '10'],
  ['dst;10/8;5', 'dst = 10.0.0.0/8', '5'],
  ['net;10;5', 'host = 10.0.0.0/8', '5'],
  ['net;10', 'host = 10.0.0.0/8'],
  ['net;10;5;7', 'host = 10.0.0.0/8', '5', '7'],
  ['net;10.1', 'host = 10.1.0.0/16'],
  // In front, and on both sides.
  ['5;port;443', 'port = 443', '5'],
  ['5;loopback', 'loopback', '5'],
  ['5;port;443;10', 'port = 443', '5', '10'],
  ['0.1;20;not;port;22', 'not port = 22', '0.1', '20'],
  ['5;pid;10', 'pid = 10', '5'],
  ['5;6;pid;10', 'pid = 10', '5', '6'],
  // One word or several, in quotes or not.
  ['port 443;5;10', 'port = 443', '5', '10'],
  ['port 443 and loopback;5', 'port = 443 and loopback', '5'],
  ['dport;=;:443;and;not;dst;10.0.0.0/8', 'dport = 443 and not dst = 10.0.0.0/8'],
  ['dport = :https', 'dport = 443'],
  ['(;port;1;or;port;2;);and;loopback;3', '(port = 1 or port = 2) and loopback', '3'],
  // A number inside a word that has more is none of them.
  ['port 443 # 5', 'port = 443'],
]

for (const [words, filter, interval, count] of cases) {
  test(`tcptop ${words.split(';').map(word => /[ #]/.test(word) ? `'${word}'` : word).join(' ')}`, () => {
    const found = splitWords(words === '' ? [] : words.split(';'), dialect)
    assert.is(found.filter === undefined ? undefined : print(found.filter), filter)
    assert.is(found.interval, interval)
    assert.is(found.count, count)
    assert.not(Object.values(found).includes(undefined), 'what is not there is absent')
  })
}

const bothReadings = /^"and" and "or" are mixed.*\n.*\n.*\n {2}\(port 1 or port 2\) and pid 5\n {2}port 1 or \(port 2 and pid 5\)$/
const begin = /^a condition must begin with one of src .*, got /
/** The error is about the text that remains when up to two numbers are taken away. */
for (const [words, message] of [
  [['prot', '443', '5', '10'], new RegExp(`${begin.source}"prot"\n {2}prot 443\n {2}\\^$`)],
  [['port', '443', '5', '10', '20'], new RegExp(`${begin.source}"5": several values are written with commas\n {2}port 443 5\n {11}\\^$`)],
  [['5', 'port', '443', '10', '20'], new RegExp(`${begin.source}"10": several values are written with commas\n {2}port 443 10\n`)],
  [['5', '6', '7', 'port', '443'], new RegExp(`${begin.source}"7"`)],
  [['port', '443', 'and', '5', '10'], new RegExp(`${begin.source}nothing\n {2}port 443 and\n {14}\\^$`)],
  [['5s'], new RegExp(`${begin.source}"5s"`)],
  [['-5'], new RegExp(`${begin.source}"-5"`)],
  [[''], new RegExp(`${begin.source}nothing`)],
  [['port', '1', 'or', 'port', '2', 'and', 'pid', '5', '10'], bothReadings],
  [['port', '1', 'or', 'port', '2', 'pid', '5'], bothReadings],
  [['rx', '>', '5'], /^rx is measured in user space/],
] as const) {
  test(`tcptop ${words.join(' ')} is refused`, () => {
    assert.throws(() => splitWords(words, dialect), (error: Error) => {
      assert.instance(error, FilterError)
      assert.match(error.message, message)
      return true
    })
  })
}

test('more than two numbers are refused', () => {
  assert.throws(() => splitWords(['5', '10', '20'], dialect), (error: Error) => {
    assert.instance(error, UsageError)
    assert.is(error.message, 'only interval and count may be numbers without an option, got "20" as well')
    return true
  })
})

test('random filters are found among interval and count', () => {
  const random = new Random()
  random.repeat(1000, () => {
    // No comment, which would hide what comes after it; and an end that no number can be a part of.
    const { text } = randomFilter(random, 2)
    const words = `(${text.replaceAll('# and\n', ' ')})`.split(random.pick([' ', '\u0000']))
    const numbers = Array.from({ length: random.below(3) }, () => `${1 + random.below(100)}`)
    const before = random.below(numbers.length + 1)
    const screen = { ...dialect, screen: true }
    const found = splitWords([...numbers.slice(0, before), ...words, ...numbers.slice(before)], screen)
    assert.equal(found.filter, parse(text, screen), text)
    assert.equal([found.interval, found.count], [numbers[0], numbers[1]], text)
  })
})

test.run()

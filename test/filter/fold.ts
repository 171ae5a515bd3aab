import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Folded, fold, parse, print } from '../../src/filter/index.js'
import { Random } from '../kit/random.js'
import { randomFilter } from './random.js'

const read = (text: string) => parse(text, { portOf: () => undefined, screen: true })

for (const [text, folded] of [
  ['port 80,443', 'sport = 80,443 or dport = 80,443'],
  ['not port 80,443', 'not sport = 80,443 and not dport = 80,443'],
  ['port 80 or port 443', 'sport = 80,443 or dport = 80,443'],
  ['port != 80', 'not sport = 80 and not dport = 80'],
  ['dport = 5,1,2-3,3', 'dport = 1-3,5'],
  ['dport 1-10 and dport 5-20', 'dport = 5-10'],
  ['dport 1-10 and not dport 5', 'dport = 1-4,6-10'],
  ['not dport 1-10 and not dport 5-20', 'not dport = 1-20'],
  ['dport 5 or not dport 1-10', 'not dport = 1-4,6-10'],
  ['dport 5 or not dport 5', 'tcp'],
  ['dport 5 and dport 6', 'not tcp'],
  ['dport 5 and not dport 5', 'not tcp'],
  ['dport < 5', 'dport = 0-4'],
  ['dport >= 5', 'dport = 5-65535'],
  ['dport > 65535', 'not tcp'],
  ['not dport > 65535', 'tcp'],
  ['pid != 1', 'not pid = 1'],
  ['pid 1 and (uid 1 or pid 1)', 'pid = 1 and (uid = 1 or pid = 1)'],
  ['state established or state listen', 'state = established,listening'],
  ['state connected and not state big', 'state = syn-recv,time-wait'],
  ['accepted and opened', 'not tcp'],
  ['accepted or opened', 'origin = accepted,opened'],
  ['ip and ip6', 'not tcp'],
  ['net 10.0.0.0/9,10.128.0.0/9', 'src = 10.0.0.0/8 or dst = 10.0.0.0/8'],
  ['dst 10.1.0.0/16,10/8,::1,10.0.0.1', 'dst = 10.0.0.0/8,::1'],
  ['dst 10.0.0.0 or dst 10.0.0.1 or dst 10.0.0.2 or dst 10.0.0.3', 'dst = 10.0.0.0/30'],
  ['not dst 10.0.0.0 and not dst 10.0.0.1', 'not dst = 10.0.0.0/31'],
  ['dst 0.0.0.0/1,128.0.0.0/1', 'dst = 0.0.0.0/0'],
  ['dst ::/1,8000::/1', 'dst = ::/0'],
  ['not loopback', 'not src = 127.0.0.0/8,::1 and not dst = 127.0.0.0/8,::1'],
  ['comm b,a,b or comm c', 'comm = a,b,c'],
  ['not comm a and comm != b', 'not comm = a,b'],
  ['comm a and comm b', 'comm = a and comm = b'],
  ['comm ~ a* or comm ~ b* or comm c', 'comm ~ a*,b* or comm = c'],
  ['(loopback and tcp) or (pid 1 and not tcp)', 'src = 127.0.0.0/8,::1 or dst = 127.0.0.0/8,::1'],
  ['pid 1 and (uid 2 and (comm a and pid 1))', 'pid = 1 and uid = 2 and comm = a'],
  ['not (pid 1 or not (uid 1 and not comm a))', 'not pid = 1 and uid = 1 and not comm = a'],
  ['(pid 1 or uid 1) and not (pid 1 or uid 1)', '(pid = 1 or uid = 1) and not pid = 1 and not uid = 1'],
  ['dst * or pid 1', 'tcp'],
  ['dst * and pid 1', 'pid = 1'],
  ['rx > 1M or rx > 1M', 'rx > 1MB/s'],
  ['rx > 1M or not rx > 1M', 'tcp'],
] as const) {
  test(`${text} is folded to ${folded}`, () => {
    assert.is(print(fold(read(text))), folded)
  })
}


/** What is wrong with the shape of a normal form. */
function malformed(folded: Folded, inside?: 'and' | 'or' | 'not'): string | undefined {
  switch (folded.kind) {
    case 'constant':
      return inside === undefined ? undefined : 'a constant inside'
    case 'not':
      return ['constant', 'not', 'and', 'or'].includes(folded.of.kind) ? `not around ${folded.of.kind}` : malformed(folded.of, 'not')
    case 'and':
    case 'or':
      if (folded.kind === inside) return `${inside} in ${inside}`
      if (folded.parts.length < 2) return 'a part alone'
      return folded.parts.map(part => malformed(part, folded.kind as 'and' | 'or')).find(wrong => wrong !== undefined)
    case 'number':
      return folded.ranges.length > 0 && folded.ranges.every(({ from, to }, index) => from <= to && (index === 0 || from > folded.ranges[index - 1]!.to + 1))
        ? undefined : 'ranges are no set'
    case 'address':
      return folded.networks.length > 0 ? undefined : 'no network'
    default:
      return undefined
  }
}

test('random filters have one normal form, and that survives printing', () => {
  const random = new Random()
  random.repeat(3000, () => {
    const { text } = randomFilter(random, random.below(4))
    const expression = read(text)
    const folded = fold(expression)
    const shown = `${JSON.stringify(text)} is folded to ${print(folded)}`
    assert.equal(read(print(expression)), expression, `${JSON.stringify(text)} is printed as ${print(expression)}`)
    assert.equal(fold(read(print(folded))), folded, shown)
    assert.equal(fold(folded), folded, shown)
    assert.is(malformed(folded), undefined, shown)
  })
})

test.run()

import { BlockList, isIP } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { bits4, bits6, joinNetworks, type Network, networkText, readNetwork } from '../../src/filter/address.js'
import { Random } from '../kit/random.js'

test('texts are addresses when Node.js says so, and mean what it says', () => {
  const random = new Random()
  const pieces = ['0', '1', '10', '255', '256', '01', 'a', 'fF', '1234', '12345', '.', '.', '.', ':', ':', '::', '/', '%', 'g', ' ']
  let found = 0
  random.repeat(20_000, () => {
    const text = random.pick([
      () => Array.from({ length: 1 + random.below(16) }, () => random.pick(pieces)).join(''),
      () => Array.from({ length: 4 }, () => random.pick(['0', '1', '10', '255', '255', '256', '01', '00', ''])).join('.'),
      () => Array.from({ length: 8 - random.below(2) }, () => random.pick(['0', '1', 'ff', '', '', '10.0.0.1'])).join(':'),
    ])()
    const expected = isIP(text.replace(/%.*/, '%'))
    assert.is(bits4(text) >= 0 ? 4 : bits6(text) !== undefined ? 6 : 0, expected, JSON.stringify(text))
    if (expected === 0) return
    found++
    const network = readNetwork(text, false)!
    const address = networkText(network)
    const same = new BlockList()
    same.addAddress(address, network.family === 4 ? 'ipv4' : 'ipv6')
    assert.ok(same.check(text, expected === 4 ? 'ipv4' : 'ipv6'), `${text} is written as ${address}`)
    assert.equal(readNetwork(address, false), network)
  })
  assert.ok(found > 500, `${found} addresses (SEED=${random.seed})`)
})

test('joined networks contain what each contained, in as few as possible', () => {
  const random = new Random()
  random.repeat(2000, () => {
    // All in a few bits, so that they meet; IPv6 ones in the same bits at its other end.
    const networks = Array.from({ length: random.below(8) }, (): Network => {
      const [length, value] = [4 + random.below(5), random.below(16)]
      const bits = value >> (8 - length) << (8 - length)
      return random.chance(0.5) ? { family: 4, bits: bits * 2 ** 24, length } : { family: 6, bits: BigInt(bits) << 120n, length }
    })
    const joined = joinNetworks(networks)
    const shown = `${networks.map(networkText).join()} is ${joined.map(networkText).join()}`
    const contains = (list: readonly Network[], family: number, value: number) => list.some(({ family: of, bits, length }) =>
      of === family && value >> (8 - length) === (of === 4 ? Number(bits) / 2 ** 24 : Number(BigInt(bits) >> 120n)) >> (8 - length))
    for (const family of [4, 6]) {
      for (let value = 0; value < 256; value++) assert.is(contains(joined, family, value), contains(networks, family, value), `${shown}: ${value}`)
    }
    for (const [index, one] of joined.entries()) {
      for (const other of joined.slice(index + 1)) {
        assert.ok(joinNetworks([one, other]).length === 2, `${shown}: two are one`)
        if (one.family === other.family) assert.ok(one.bits < other.bits, `${shown}: not in order`)
        else assert.is(one.family, 4)
      }
    }
  })
})

test.run()

import { constants } from 'node:os'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { capability, type Capability, giveUp } from '../../src/host/privilege.js'
import { SyscallError } from '../../syscall/index.js'
import { fakeKernel, openFake } from '../kit/fake.js'

const { EPERM, EIO } = constants.errno
const known: readonly number[] = []
const bitsOf = (...names: readonly Capability[]) => names.reduce((bits, name) => bits | 1n << capability[name], 0n)

/** A process with these capabilities, whose maps may be used with `taking` in effect; undefined: with none. So many threads do not answer. */
function process(held: bigint, taking: bigint | undefined, deaf = 0) {
  let [effective, permitted] = [held, held]
  const asked: (readonly number[])[] = []
  const { native } = fakeKernel(({ name, attr, rest = [] }) => {
    assert.is(name, 'capset')
    const [low, lowPermitted, inheritable, high, highPermitted] = new Uint32Array(attr.buffer)
    const wanted = { effective: BigInt(high!) << 32n | BigInt(low!), permitted: BigInt(highPermitted!) << 32n | BigInt(lowPermitted!) }
    assert.is(inheritable, 0)
    if (rest.length > 0) {
      asked.push(rest)
      assert.equal(wanted, { effective: 0n, permitted: 0n })
      return rest.length - deaf
    }
    if ((wanted.permitted & ~permitted) !== 0n || (wanted.effective & ~wanted.permitted) !== 0n) return -EPERM
    ;({ effective, permitted } = wanted)
    return 0
  })
  const use = () => {
    if (taking !== undefined && (effective & taking) === 0n) throw new SyscallError('bpf(BPF_MAP_LOOKUP_ELEM)', EPERM)
  }
  return { kernel: openFake(native), use, asked, has: () => ({ effective, permitted }) }
}

const nothing = { effective: 0n, permitted: 0n }
const enough = bitsOf('CAP_BPF', 'CAP_PERFMON')

test('all capabilities are given up if reading maps needs only a descriptor', () => {
  for (const held of [enough, bitsOf('CAP_SYS_ADMIN'), 2n ** 41n - 1n]) {
    const { kernel, use, has } = process(held, undefined)
    assert.is(giveUp(kernel, use, known), 'gave up all capabilities')
    assert.equal(has(), nothing)
  }
})

test('only the capability that reading maps needs is kept', () => {
  for (const [held, name] of [[enough, 'CAP_BPF'], [bitsOf('CAP_SYS_ADMIN', 'CAP_PERFMON'), 'CAP_SYS_ADMIN']] as const) {
    const bit = bitsOf(name)
    const { kernel, use, has } = process(held, bit)
    assert.is(giveUp(kernel, use, known), `gave up all capabilities but ${name}, which this kernel wants for reading maps`)
    assert.equal(has(), { effective: bit, permitted: bit })
    use()
  }
})

test('without either capability nothing is given up, and the line says so', () => {
  const { kernel, use, has } = process(bitsOf('CAP_PERFMON'), undefined)
  assert.match(giveUp(kernel, use, known), /^no capabilities are given up/)
  assert.is(has().permitted, bitsOf('CAP_PERFMON'))
})

test('our own mistakes are thrown, and a forbidden system call is reported', () => {
  const broken = process(enough, undefined)
  assert.throws(() => giveUp(broken.kernel, () => { throw new TypeError('ours') }, known), /^ours$/)
  assert.equal(broken.has().effective, bitsOf('CAP_BPF'))
  assert.is(giveUp(openFake(fakeKernel(() => -EIO).native), () => {}, known), 'capabilities are not given up: capset: EIO')
})

test('other threads give up theirs, and those that do not are reported', () => {
  for (const [threads, deaf, told] of [
    [[5, 6], 0, ''],
    [[5, 6, 7], 1, '; a thread that did not answer keeps them'],
    [[5, 6], 2, '; 2 threads that did not answer keep them'],
    [undefined, 0, ', in the main thread alone: without /proc it knows no others'],
  ] as const) {
    const { kernel, use, asked } = process(enough, undefined, deaf)
    assert.is(giveUp(kernel, use, threads), `gave up all capabilities${told}`)
    assert.equal(asked, threads === undefined ? [] : [threads])
  }
})

test.run()

import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { exit, leave, list, mapOf, mov, parseBtf, r0, r1, r6, record } from '../../bpf-asm/index.js'
import { byName, eventMaps, placesOf, programAt, recordsOf, startFirst, startTracer } from '../../src/trace/index.js'
import { SyscallError, UnsupportedError } from '../../syscall/index.js'
import { blob, int, Kind, prototype, refer, struct } from '../kit/blob.js'
import { unless } from '../kit/privilege.js'
import { fakeKernel, openFake } from '../kit/fake.js'

const nothing = [mov(r0, 0), exit()]

const noBtf = existsSync('/sys/kernel/btf/vmlinux') ? undefined : 'this kernel has no BTF'

test('a point that the kernel lacks is refused by name', () => {
  assert.throws(() => programAt('it', { entry: 'tcp_connect' }, nothing, byName), /^this kernel has no entry of tcp_connect$/)
  const places = { ...byName, mayHaveTracepoint: () => false }
  assert.throws(() => programAt('it', { rawTracepoint: 'gone' }, nothing, places), /^this kernel has no raw tracepoint gone$/)
})

const found = 'a point that is found by BTF is looked up in the running kernel’s'
test(found, unless(noBtf, found, () => {
  assert.throws(() => programAt('it', { tracepoint: 'no_such' }, nothing), /^this kernel has no tracepoint no_such$/)
  const { btfId, assembly } = programAt('it', { tracepoint: 'tcp_retransmit_skb' }, ({ args, field, btf }) => {
    assert.is(btf.tracepoint('tcp_retransmit_skb')?.id, btfId)
    return [args.sk.load(r6), field('sock', '__sk_common.skc_dport').load(r1, r6), leave()]
  })
  assert.match(list(assembly).join('\n'), /^0: \(79\) r6 = \*\(u64 \*\)\(r1 \+0\)\n1: \(69\) r1 = \*\(u16 \*\)\(r6 \+\d+\)\n2: /)
}))

test('code that is a function is made once, when it is wanted, from the BTF of its places', () => {
  const places = placesOf(parseBtf(blob(
    struct('sock', 8, ['port', 2, 32]), int('short', 2), prototype(0, ['sk', 4]), refer(Kind.ptr, 1), refer(Kind.func, 3, 'tcp_done'),
  )))
  let made = 0
  const program = programAt('it', { entry: 'tcp_done' }, ({ args, field }) => {
    made++
    return [args.sk.load(r6), field('sock', 'port').load(r1, r6), leave()]
  }, places)
  assert.is(made, 0)
  assert.equal(list(program.assembly), list(program.assembly))
  assert.is(list(program.assembly)[1], '1: (69) r1 = *(u16 *)(r6 +4)')
  assert.is(made, 1)
})

test('what the kernel would cut off a name is refused when it is made', () => {
  assert.throws(() => programAt('sixteen_letters_', { kprobe: 'tcp_connect' }, nothing), /must be 1 to 15 letters.*"sixteen_letters_"$/)
  assert.throws(() => eventMaps('eleven_char', 8), /must be 1 to 15 letters.*"eleven_char_lost"$/)
  assert.is(programAt('fifteen_letters', { kprobe: 'tcp_connect' }, nothing).name, 'fifteen_letters')
})

test('entries of a map of records are decoded', () => {
  const flows = mapOf('hash', 'flows', { key: record({ port: 'be16' }), value: record({ bytes: 'u64' }), maxEntries: 4 })
  const batch = (keys: Uint8Array, values: Uint8Array) => {
    keys.set([0, 80, 1, 187])
    values.set([7], 0)
    values.set([1, 1], 8)
    return 2
  }
  const map = { keySize: 2, valueSize: 8, batch: () => ({ done: false, next(keys: Uint8Array, values: Uint8Array) { this.done = true; return batch(keys, values) } }) }
  const asked: string[] = []
  const tracer = { map: (name: string) => (asked.push(name), map as never) }
  assert.equal([...recordsOf(tracer, flows)], [[{ port: 80 }, { bytes: 7n }], [{ port: 443 }, { bytes: 257n }]])
  assert.equal(asked, ['flows'])
})

test('a tracer gives back everything that it took, and knows its maps by name', () => {
  const kernel = openFake(fakeKernel().native)
  const tracer = startTracer(kernel, {
    maps: [{ name: 'numbers', type: 'hash', keySize: 4, valueSize: 8, maxEntries: 1 }],
    programs: [programAt('it', { rawTracepoint: 'sys_enter' }, nothing)],
  })
  assert.is(tracer.map('numbers').valueSize, 8)
  assert.throws(() => tracer.map('others'), /^the plan has no map others$/)
  assert.is(kernel.open, 3)
  tracer.close()
  assert.is(kernel.open, 0)
})

test('the first accepted candidate is started, and those refused before it are returned', () => {
  const refusals = [new SyscallError('bpf', constants.errno.EPERM), new UnsupportedError('it')]
  const start = (index: number) => {
    const refusal = refusals[index]
    if (refusal !== undefined) throw refusal
    return `number ${index}`
  }
  const refused = refusals.map((error, candidate) => ({ candidate, error }))
  assert.equal(startFirst([0, 1, 2, 3], start), { candidate: 2, started: 'number 2', refused })
  assert.throws(() => startFirst([0, 1], start), (error: Error) => error === refusals[1])
})

test('what is no refusal is not taken for one', () => {
  let tried = 0
  assert.throws(() => startFirst([0, 1], () => { tried++; throw new TypeError('a mistake') }), /^a mistake$/)
  assert.is(tried, 1)
})

test.run()

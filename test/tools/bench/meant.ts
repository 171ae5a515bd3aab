import { constants } from 'node:os'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { factsOf } from '../../../src/backend/facts.js'
import { makePlans } from '../../../src/backend/plan.js'
import { progLoad } from '../../../syscall/uapi.js'
import { ranOf, ranText, startMeant } from '../../../tools/bench/meant.js'
import { btfFixtures, noFilter } from '../../kit/fixture.js'
import { type Answer, bufferOf, type Call, fakeKernel, openFake } from '../../kit/fake.js'

const { EACCES, EOPNOTSUPP } = constants.errno
const { btf, arch } = btfFixtures.find(({ name }) => name === '6.1-x86_64')!
const facts = factsOf(btf, arch)
const request = { backend: 'fentry', filter: noFilter, maxFlows: 1024 }
const [first, second] = [...makePlans(request, facts)]

const nameIn = ({ attr }: Call) => new TextDecoder().decode(attr.subarray(progLoad.fields.prog_name[0], progLoad.fields.prog_name[0] + 16)).replace(/\0.*$/s, '')

function start(answer?: Answer) {
  const fake = fakeKernel(answer)
  const kernel = openFake(fake.native)
  return { ...fake, kernel, meant: () => startMeant(request, kernel, facts) }
}

test('the first variant is measured, and what ran is known', () => {
  const { kernel, meant } = start()
  const started = meant()
  if (started instanceof Error) throw started
  assert.is(started.plan.variant, first!.variant)
  const ran = ranOf(started, started.session.programs.map((_, index) => index))
  assert.equal(ran.programs.map(({ name, loaded, runs }) => ({ name, loaded, runs })), first!.programs.map(({ name, assembly }, index) => ({ name, loaded: assembly.slots, runs: index })))
  assert.match(ranText(ran), /^fentry, the variant that needs Linux 5\.12 with BTF and ftrace: /)
  started.session.close()
  assert.is(kernel.open, 0)
})

test('a variant that the verifier refuses fails, though the next one would start', () => {
  assert.not.equal(first!.programs.map(({ name }) => name), second!.programs.map(({ name }) => name))
  const refused = 'tcptop_tx'
  const { kernel, meant } = start(call => {
    if (call.name !== 'PROG_LOAD' || nameIn(call) !== refused) return undefined
    new TextEncoder().encodeInto('0: R1=ctx() R10=fp0\n0: (95) exit\nR0 !read_ok\n', bufferOf(call, progLoad, 'log_buf') ?? new Uint8Array())
    return -EACCES
  })
  assert.throws(meant, /^fentry is not measured: its variant that needs Linux 5\.12 with BTF and ftrace was refused: load tcptop_tx: EACCES: R0 !read_ok/)
  assert.is(kernel.open, 0, 'descriptors left open')
})

test('where a kernel takes no program at functions at all there is nothing to measure', () => {
  const { meant, calls } = start(({ name }) => name === 'RAW_TRACEPOINT_OPEN' ? -EOPNOTSUPP : undefined)
  const error = meant()
  assert.instance(error, Error)
  assert.match((error as Error).message, /EOPNOTSUPP|ENOTSUP/)
  assert.not.ok(calls.some(({ name }) => name === 'MAP_CREATE'))
})

test.run()

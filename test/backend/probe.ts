import { constants } from 'node:os'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { probe } from '../../src/backend/probe.js'
import { distinct } from '../kit/fixture.js'
import { type Answer, fakeKernel, openFake } from '../kit/fake.js'

const { EIO, ENOMEM, EPERM, EMFILE } = constants.errno

for (const { title: where, plan } of distinct) {
  const needs = plan.programs.some(({ hook }) => 'entry' in hook || 'exit' in hook || 'kprobe' in hook)
  const ask = (answer?: Answer) => {
    const { native, calls } = fakeKernel(answer)
    const kernel = openFake(native)
    const takes = probe(plan, kernel)?.takes
    assert.is(kernel.open, 0, 'descriptors left open')
    return { takes, calls }
  }

  test(`${where}: an empty program shows whether the kernel accepts programs at functions`, () => {
    const { takes, calls } = ask()
    assert.is(takes, needs ? true : undefined)
    assert.is(calls.filter(({ name }) => name === 'PROG_LOAD').length, needs ? 1 : 0)
    assert.not.ok(calls.some(({ name }) => name === 'MAP_CREATE'))
  })

  if (needs) test(`${where}: a refusal means no, other errors mean unknown`, () => {
    const attaches = ['RAW_TRACEPOINT_OPEN', 'perf_event_open']
    for (const [errno, takes] of [[EPERM, false], [524, false], [ENOMEM, undefined], [EMFILE, undefined], [EIO, undefined]] as const) {
      assert.is(ask(() => -errno).takes, takes)
      assert.is(ask(({ name }) => attaches.includes(name) ? -errno : undefined).takes, takes)
    }
  })
}

test.run()

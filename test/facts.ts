import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseBtf } from '../bpf-asm/index.js'
import { backends } from '../src/backend/index.js'
import { factsOf } from '../src/facts.js'
import { btfFixtures, without } from './fixture.js'

const points = backends.flatMap(({ hooks }) => hooks.map(({ on }) => on))
const tracepoints = points.flatMap(on => 'tracepoint' in on ? [on.tracepoint] : [])
const iterators = points.flatMap(on => 'iterator' in on ? [on.iterator] : [])

for (const { name, bytes } of btfFixtures) {
  const btf = parseBtf(bytes)
  const facts = factsOf(btf)

  test(`on ${name} a tracepoint has the id of its typedef, an iterator that of its function`, () => {
    for (const tracepoint of tracepoints) {
      const id = facts.tracepoint(tracepoint)
      assert.is(id, btf.typedef(`btf_trace_${tracepoint}`))
      if (id !== undefined) assert.is(btf.nameOf(id), `btf_trace_${tracepoint}`)
    }
    for (const iterator of iterators) {
      const id = facts.iterator(iterator)
      assert.ok(id !== undefined, `every kernel that we know has the iterator ${iterator}`)
      assert.is(btf.nameOf(id), `bpf_iter_${iterator}`)
    }
    assert.is(facts.btf, btf)
  })

  test(`on ${name} what the kernel lacks is undefined, also when something else has its name`, () => {
    assert.is(facts.tracepoint('no_such_thing'), undefined)
    assert.is(facts.iterator('no_such_thing'), undefined)
    for (const tracepoint of tracepoints) {
      assert.is(facts.iterator(tracepoint), undefined)
      assert.is(factsOf(without(btf, tracepoint)).tracepoint(tracepoint), undefined)
    }
    for (const iterator of iterators) {
      assert.is(facts.tracepoint(iterator), undefined)
      assert.is(factsOf(without(btf, iterator)).iterator(iterator), undefined)
    }
  })
}

test.run()

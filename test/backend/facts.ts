import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { factsOf } from '../../src/backend/facts.js'
import { variants } from '../../src/backend/index.js'
import { btfFixtures, without } from '../kit/fixture.js'

const points = variants.flatMap(({ hooks }) => hooks.map(({ on }) => on))
const unique = (names: readonly string[]) => [...new Set(names)]
const tracepoints = unique(points.flatMap(on => 'tracepoint' in on ? on.tracepoint : 'rawTracepoint' in on ? on.rawTracepoint : []))
const functions = unique(points.flatMap(on => 'entry' in on ? on.entry : 'exit' in on ? on.exit : 'kprobe' in on ? on.kprobe : []))
const iterators = unique(points.flatMap(on => 'iterator' in on ? on.iterator : []))
const helpers = unique(variants.flatMap(({ helper, hooks }) => [helper, ...hooks.map(({ helper }) => helper)].flatMap(helper => helper ?? [])))

for (const fixture of btfFixtures) {
  const { name, btf, arch } = fixture
  const facts = factsOf(btf, arch)
  const lacking = (name: string) => factsOf(without(fixture, name).btf, arch)

  test(`on ${name} a tracepoint has the id of its typedef, functions and iterators those of theirs`, () => {
    for (const tracepoint of tracepoints) {
      const id = facts.tracepoint(tracepoint)
      assert.is(id, btf.typedef(`btf_trace_${tracepoint}`))
      if (id !== undefined) assert.is(btf.nameOf(id), `btf_trace_${tracepoint}`)
    }
    for (const name of functions) {
      const func = facts.func(name)
      assert.equal(func, btf.func(name))
      if (func !== undefined) assert.is(btf.nameOf(func.id), name)
    }
    for (const iterator of iterators) {
      const id = facts.iterator(iterator)
      assert.ok(id !== undefined, `every kernel that we know has the iterator ${iterator}`)
      assert.is(btf.nameOf(id), `bpf_iter_${iterator}`)
    }
  })

  test(`on ${name} what the kernel lacks is undefined, also when something else has its name`, () => {
    assert.is(facts.tracepoint('no_such_thing'), undefined)
    assert.is(facts.func('no_such_thing'), undefined)
    assert.is(facts.iterator('no_such_thing'), undefined)
    for (const tracepoint of tracepoints) {
      assert.is(facts.iterator(tracepoint), undefined)
      assert.is(lacking(tracepoint).tracepoint(tracepoint), undefined)
    }
    for (const name of functions) {
      assert.is(facts.tracepoint(name), undefined)
      assert.is(lacking(name).func(name), undefined)
    }
    for (const iterator of iterators) {
      assert.is(facts.tracepoint(iterator), undefined)
      assert.is(lacking(iterator).iterator(iterator), undefined)
    }
  })

  test(`on ${name} skipped runs of kprobes are counted since 6.7`, () => {
    const [major = 0, minor = 0] = name.split(/[.-]/).map(Number)
    assert.is(facts.countsKprobeMisses, major > 6 || major === 6 && minor >= 7)
  })

  test(`on ${name} there are the helpers that its version has`, () => {
    const [major = 0, minor = 0] = name.split(/[.-]/).map(Number)
    // 34b2021cc616, "bpf: Add BPF-helper for MTU checking"; 7b15523a989b, "bpf: Add a bpf_snprintf helper"
    const since: Readonly<Record<string, number>> = { check_mtu: 12, snprintf: 13 }
    assert.equal([...helpers].sort(), Object.keys(since), 'a helper whose version this test does not know')
    for (const helper of helpers) assert.is(facts.helper(helper), major > 5 || minor >= since[helper]!, helper)
    assert.not.ok(facts.helper('no_such_thing'))
    assert.not.ok(facts.helper('BPF_FUNC_check_mtu'))
    assert.not.ok(lacking('check_mtu').helper('check_mtu'))
  })
}

test.run()

import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Assembly, type Btf, BtfError, encode, list, parseBtf } from '../bpf-asm/index.js'
import { backends } from '../src/backend/index.js'
import { dump } from '../src/dump.js'
import { hookName, type Plan, PlanError } from '../src/plan.js'
import { type Filter, mapName } from '../src/program/index.js'
import { btfFixtures, planOf, possible, without } from './fixture.js'
import { matchesGolden } from './golden.js'

/** The plan where there is one. */
function made(btf: Btf, backend: string, filter?: Partial<Filter>): Plan {
  const plan = planOf(btf, backend, filter)
  if (plan instanceof Error) throw plan
  return plan
}

test('there is a kernel for every backend', () => {
  for (const backend of backends) assert.ok(possible.some(one => one.backend === backend), backend.name)
})

for (const { name: fixture, bytes } of btfFixtures) {
  const btf = parseBtf(bytes)

  for (const { name } of backends) {
    test(`on ${fixture} backend ${name} is planned as ever, or refused as ever`, () => {
      const plan = planOf(btf, name)
      matchesGolden(plan instanceof Error ? `${plan.message}\n` : dump(plan), `plan/${fixture}-${name}.txt`)
    })

    test(`on ${fixture} backend ${name} is taken when it is asked for, or refused, and never replaced`, () => {
      const plan = planOf(btf, name)
      if (plan instanceof Error) {
        assert.match(plan.message, new RegExp(`^(backend ${name}: it needs .*; )?this kernel has no `))
        for (const other of backends) if (other.name !== name) assert.not.match(plan.message, `backend ${other.name}:`)
      } else {
        assert.is(plan.backend.name, name)
        assert.equal(plan.passedOver, [])
      }
    })
  }

  test(`on ${fixture} the first backend that is possible is taken, and those before it are passed over`, () => {
    const wanted = possible.find(one => one.fixture === fixture)?.backend
    const plan = planOf(btf, 'auto')
    if (wanted === undefined || plan instanceof Error) return assert.ok(wanted === undefined && plan instanceof Error)
    assert.is(plan.backend, wanted)
    const before = backends.slice(0, backends.indexOf(wanted)).map(({ name }) => name)
    assert.equal(plan.passedOver.map(({ backend }) => backend), before)
    for (const { backend, reason } of plan.passedOver) {
      assert.is((planOf(btf, backend) as Error).message, `backend ${backend}: ${reason}`)
    }
  })

  test(`on ${fixture}, if it had no hooks, every backend would be refused with all that is missing`, () => {
    const bare: Btf = { ...btf, func: () => undefined, typedef: () => undefined }
    const { message } = planOf(bare, 'auto') as PlanError
    assert.is(message, backends.map(({ name }) => (planOf(bare, name) as PlanError).message).join('; '))
  })
}

/** What a plan gives to the kernel. */
function given({ maps, programs }: Plan) {
  const all = Object.fromEntries(Object.values(mapName).map((name, index) => [name, 10 + index]))
  return { maps, programs: programs.map(({ assembly, ...rest }) => ({ ...rest, insns: encode(assembly, all) })) }
}

type Assembled = { readonly assembly: Assembly }
const linesOf = ({ assembly }: Assembled) => list(assembly).map(line => line.replace(/^\d+: /, ''))
const count = (lines: readonly string[], part: string) => lines.filter(line => line.includes(part)).length
const calls = { cgroup: 'call bpf_current_task_under_cgroup#', cgroupIds: 'call bpf_get_current_cgroup_id#' }
/** Filters of processes, each with what it alone brings: a map, a helper. */
const choosing: readonly { filter: Partial<Filter>; map?: string; helper?: string }[] = [
  { filter: { pids: [4711] } },
  { filter: { cgroup: true }, map: mapName.cgroup, helper: calls.cgroup },
  { filter: { cgroupIds: true }, map: mapName.cgroupIds, helper: calls.cgroupIds },
  { filter: { mntnsIds: true }, map: mapName.mntnsIds },
]
const filterMaps: readonly string[] = [mapName.cgroup, mapName.cgroupIds, mapName.mntnsIds]
const hooksOf = ({ programs }: Plan) => programs.map(({ name, hook }) => ({ name, hook }))
const mapsOf = ({ programs }: Plan) => new Set(programs.flatMap(({ assembly }) => assembly.maps))
const isPid = (pid: number) => `== 0x${pid.toString(16)} `
/** Whether a program asks if a process is wanted. */
const asks = (program: Assembled, { map }: (typeof choosing)[number]) =>
  map === undefined ? count(linesOf(program), isPid(4711)) > 0 : program.assembly.maps.includes(map)

for (const { fixture, btf, backend, plan } of possible) {
  const check = (title: string, run: () => void) => test(`${backend.name} on ${fixture}: ${title}`, run)
  const on = (filter: Partial<Filter>) => made(btf, backend.name, filter)

  check('the same request has the same plan, to the byte', () => {
    const again = made(parseBtf(btfFixtures.find(({ name }) => name === fixture)!.bytes), backend.name)
    assert.equal(given(again), given(plan))
    assert.is(dump(again), dump(plan))
  })

  check('programs have names that the kernel can show, each its own, and every map that they use is there', () => {
    const names = plan.programs.map(({ name }) => name)
    assert.is(new Set(names).size, names.length)
    for (const name of names) assert.ok(name.length <= 15, name)
    for (const { name, btfId } of plan.programs) assert.ok(btfId > 0, name)
    const own = plan.maps.map(({ name }) => name)
    for (const map of mapsOf(plan)) assert.ok(own.includes(map), map)
  })

  check('a hook that is missing is the reason why it is refused, or is left out where it may be', () => {
    for (const hook of backend.hooks) {
      const [name] = Object.values(hook.on) as string[]
      const lacking = planOf(without(btf, name!), backend.name)
      if ('optional' in hook && hook.optional) {
        assert.not.instance(lacking, PlanError)
        const left = (lacking as Plan).programs.map(({ name }) => name)
        assert.equal(left, plan.programs.map(({ name }) => name).filter(name => name !== hook.program))
      } else {
        assert.instance(lacking, PlanError)
        assert.is((lacking as PlanError).message,
          `backend ${backend.name}: it needs ${backend.needs}; this kernel has no ${hookName(hook.on)}`)
      }
    }
  })

  check('a field that is missing is an error of its own, and says which', () => {
    const lacking: Btf = {
      ...btf,
      member: (struct, path) => btf.member(struct, path === 'bytes_acked' ? 'no_such_member' : path),
    }
    assert.throws(() => made(lacking, backend.name), (error: Error) =>
      error instanceof BtfError && /no no_such_member in struct tcp_sock/.test(error.message))
  })

  check('room for more flows is a larger map, and nothing else', () => {
    const larger = plan.maps.map(map => map.name === mapName.flows ? { ...map, maxEntries: 65_536 } : map)
    assert.equal(larger, plan.maps)
    assert.is(plan.maps.filter(({ maxEntries }) => maxEntries === 65_536).length, 1)
  })

  check('no filter costs nothing: no program asks who is at work, and there are no maps to ask', () => {
    for (const map of filterMaps) {
      assert.not.ok(mapsOf(plan).has(map), map)
      assert.not.ok(plan.maps.some(({ name }) => name === map), map)
    }
    const lines = plan.programs.flatMap(linesOf)
    for (const helper of Object.values(calls)) assert.is(count(lines, helper), 0)
    assert.is(plan.programs.flatMap(({ assembly }) => assembly.notes).filter(note => note?.startsWith('--')).length, 0)
  })

  for (const one of choosing) {
    const { filter, map, helper } = one
    const name = Object.keys(filter).join()
    check(`the filter ${name} uses its own map and helper, and no other’s`, () => {
      const filtered = on(filter)
      assert.equal(filterMaps.filter(map => mapsOf(filtered).has(map)), map === undefined ? [] : [map])
      const lines = filtered.programs.flatMap(linesOf)
      for (const call of Object.values(calls)) assert.is(count(lines, call) > 0, call === helper, call)
      const extra = filtered.maps.slice(plan.maps.length)
      assert.equal(filtered.maps.slice(0, plan.maps.length), plan.maps)
      // The sets of ids are the user's: only the cgroup to stay in is a map that we make.
      assert.equal(extra.map(({ name }) => name), map === mapName.cgroup ? [map] : [])
    })

    check(`without the filter ${name} no program is longer, but for what only bytes without a filter need`, () => {
      const filtered = on(filter)
      assert.equal(hooksOf(filtered), hooksOf(plan))
      const asking = filtered.programs.filter(program => asks(program, one))
      assert.ok(asking.length > 0)
      filtered.programs.forEach((program, index) => {
        const [longer, shorter] = [program.assembly.slots, plan.programs[index]!.assembly.slots]
        if (asking.includes(program)) assert.ok(longer > shorter, program.name)
        else assert.ok(longer <= shorter, program.name)
      })
      // All filters ask at the same places.
      const first = on(choosing[0]!.filter).programs.filter(program => asks(program, choosing[0]!))
      assert.equal(asking.map(({ name }) => name), first.map(({ name }) => name))
    })
  }

  check('every process that is wanted costs one compare wherever one is chosen', () => {
    const pids = [4711, 4712, 4713, 4714]
    const one = on({ pids: pids.slice(0, 1) })
    on({ pids }).programs.forEach((program, index) => {
      const places = pids.map(pid => count(linesOf(program), isPid(pid)))
      assert.equal(new Set(places).size, 1, program.name)
      assert.is(program.assembly.slots, one.programs[index]!.assembly.slots + 3 * places[0]!, program.name)
    })
  })

  check('what a filter costs does not depend on the others', () => {
    const [a, b, c, d] = choosing.map(({ filter }) => filter)
    const lengths = (...filters: readonly (Partial<Filter> | undefined)[]) =>
      on(Object.assign({}, ...filters) as Partial<Filter>).programs.map(({ assembly }) => assembly.slots)
    const sum = (one: readonly number[], other: readonly number[]) => one.map((slots, index) => slots + other[index]!)
    const whole = sum(lengths(a, b, c, d), lengths(a))
    assert.equal(sum(lengths(a, b), lengths(a, c, d)), whole)
    assert.equal(sum(lengths(a, c), lengths(a, b, d)), whole)
    assert.equal(sum(lengths(a, d), lengths(a, b, c)), whole)
    assert.equal(sum(lengths(a, b), lengths(c, d)), sum(lengths(a, d), lengths(b, c)))
  })

  check('one family alone is never longer, and asks nobody', () => {
    for (const family of [4, 6] as const) {
      const filtered = on({ family })
      assert.equal(filtered.maps, plan.maps)
      filtered.programs.forEach(({ name, assembly }, index) => {
        assert.ok(assembly.slots <= plan.programs[index]!.assembly.slots, name)
      })
      assert.not.equal(given(filtered), given(plan))
    }
  })
}

test.run()

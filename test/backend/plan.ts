import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { distanceField } from '../../bpf-asm/assemble.js'
import { type Assembly, type Btf, BtfError, encode, lines, list, parseBtf } from '../../bpf-asm/index.js'
import { dump } from '../../src/backend/dump.js'
import { factsByName, factsOf } from '../../src/backend/facts.js'
import { backends, type Part, variants } from '../../src/backend/index.js'
import { makePlans, type Plan, PlanError } from '../../src/backend/plan.js'
import { type Filter, mapName, typed } from '../../src/program/index.js'
import { pointName } from '../../src/trace/index.js'
import { btfFixtures, distinct, noFilter, planOf, plansOf, possible, without } from '../kit/fixture.js'
import { matchesGolden } from '../kit/golden.js'
import { Listings } from '../kit/listing.js'

test('there is a kernel for every variant of every backend', () => {
  for (const variant of variants) assert.ok(possible.some(({ plan }) => plan.variant === variant), `${variant.backend}: ${variant.needs}`)
})

/** A plan in short: what the kernel is given, without the instructions. */
function outline({ variant, maps, programs }: Plan): string {
  return [
    `  with ${variant.needs}`,
    ...maps.map(({ name, type, keySize, valueSize, maxEntries }) => `    map ${name}: ${type}, ${keySize} -> ${valueSize} bytes, ${maxEntries}`),
    ...programs.map(({ name, hook, type, attachType }) =>
      `    ${name}, ${pointName(hook)}: ${attachType === undefined ? type : `${type} ${attachType}`}`),
  ].join('\n')
}

/** What measurement does not find on any kernel: it is read by programs that need BTF themselves (`Absent` in src/program/field.ts). */
const neverMeasured = [
  'writePending', 'socketSk', 'fileInode', 'filePrivate', 'inodeMode', 'msgFlags', 'threadPid', 'pidLevel', 'pidNumbers', 'pidNamespaceInum', 'startTime',
] as const

test('without BTF, with the fields that measurement finds alone, every backend that needs no BTF is planned whole', () => {
  for (const { btf } of btfFixtures) {
    const all: Record<string, unknown> = { ...factsOf(btf, 'x64').field() }
    for (const name of [...neverMeasured, 'saddr6', 'daddr6', 'userData']) delete all[name]
    const facts = factsByName(all as never, 'x64')
    for (const backend of ['kprobe', 'tracepoint']) {
      const [plan] = makePlans({ backend, filter: noFilter, maxFlows: 1024 }, facts)
      assert.ok(plan!.programs.every(({ assembly }) => assembly.slots > 0), backend)
    }
  }
})

for (const machine of btfFixtures) {
  const { name: fixture, btf } = machine

  test(`on ${fixture} plans and refusals match the golden files`, () => {
    const text = backends.map(name => {
      const plans = plansOf(machine, name)
      return plans instanceof Error ? `${plans.message}\n` : `backend ${name}\n${plans.map(outline).join('\n')}\n`
    })
    matchesGolden(text.join(''), `plan/${fixture}.txt`)
  })

  for (const name of backends) {
    test(`on ${fixture} backend ${name} is taken when it is asked for, or refused, and never replaced`, () => {
      const plans = plansOf(machine, name)
      if (plans instanceof Error) {
        assert.match(plans.message, new RegExp(`^backend ${name}: it needs .*; this kernel has no `))
        for (const other of backends) if (other !== name) assert.not.match(plans.message, `backend ${other}:`)
        return
      }
      for (const plan of plans) {
        assert.is(plan.variant.backend, name)
        assert.equal(plan.passedOver, [])
      }
      const order = plans.map(({ variant }) => variants.indexOf(variant))
      assert.equal(order, [...new Set(order)].sort((one, other) => one - other), 'each once, the preferred one first')
      assert.is((planOf(machine, name) as Plan).variant, plans[0]!.variant)
    })
  }

  test(`on ${fixture} all that is possible is tried in the order of preference, what is not is passed over`, () => {
    const plans = plansOf(machine, 'auto')
    const wanted = possible.filter(one => one.fixture === fixture)
    if (plans instanceof Error) return assert.is(wanted.length, 0)
    assert.equal(plans.map(({ variant }) => variant), variants.filter(variant => wanted.some(({ plan }) => plan.variant === variant)))
    for (const { variant, passedOver } of plans) {
      const preferred = variants.slice(0, variants.indexOf(variant)).map(({ backend }) => backend)
      const before = backends.filter(name => preferred.includes(name) && !wanted.some(({ backend }) => backend === name))
      assert.equal(passedOver.map(({ backend }) => backend), before)
      for (const { backend, reason } of passedOver) {
        assert.is((planOf(machine, backend) as Error).message, `backend ${backend}: ${reason}`)
      }
    }
  })

  test(`on ${fixture} skipped runs are counted unless they are those of a kprobe before Linux 6.7`, () => {
    const plans = plansOf(machine, 'auto')
    if (plans instanceof Error) return
    for (const { variant: { backend }, countsMisses } of plans) assert.is(countsMisses, backend !== 'kprobe' || !/^5|^6\.[0-6]-/.test(fixture))
  })

  test(`on ${fixture}, if it had no hooks, every backend would be refused with all that is missing`, () => {
    const bare = { ...machine, btf: { ...btf, func: () => undefined, typedef: () => undefined } }
    const { message } = planOf(bare, 'auto') as PlanError
    assert.is(message, backends.map(name => (planOf(bare, name) as PlanError).message).join('; '))
    for (const { needs } of variants) assert.ok(message.includes(`it needs ${needs}; this`), needs)
  })
}

test('a backend that there is not is refused by its name', () => {
  assert.is((planOf(btfFixtures[0]!, 'uprobe') as PlanError).message, 'there is no backend uprobe')
})

test('on a machine with unknown registers, plans have no kprobes and are otherwise the same', () => {
  for (const machine of btfFixtures) {
    const strange = { ...machine, arch: 'mips' }
    assert.match((planOf(strange, 'kprobe') as PlanError).message, /; this kernel has no kprobe release_sock$/)
    for (const name of backends) if (name !== 'kprobe') assert.equal(planOf(strange, name), planOf(machine, name))
  }
})

test('a backend that is impossible is passed over by what comes after its variants, and by nothing before', () => {
  const plans = plansOf({ ...btfFixtures.find(({ name }) => name === '6.18-x86_64')!, arch: 'mips' }, 'auto') as readonly Plan[]
  const passed = plans.map(({ variant, passedOver }) => [variant.needs, ...passedOver.map(({ backend }) => backend)])
  assert.equal(passed, [
    ['Linux 5.12 with BTF and ftrace'], ['Linux 6.3 with BTF'], ['Linux 5.8 with BTF and ftrace'],
    ['Linux 5.12 with BTF', 'kprobe'], ['Linux 5.5', 'kprobe'],
  ])
})

test('a kprobe finds its argument where the machine has it, and that is all that is its own', () => {
  const machine = btfFixtures.find(({ name }) => name === '5.10-x86_64')!
  const lines = (arch: string) => (planOf({ ...machine, arch }, 'kprobe') as Plan).programs.flatMap(linesOf)
  const [x64, arm64] = [lines('x64'), lines('arm64')]
  const differing = x64.flatMap((line, index) => line === arm64[index] ? [] : [[line, arm64[index]]])
  assert.equal(differing, [['(79) r6 = *(u64 *)(r1 +112)', '(79) r6 = *(u64 *)(r1 +0)']])
})

const machineOf = (fixture: string) => btfFixtures.find(({ name }) => name === fixture)!
const everything: Partial<Filter> = {
  pids: [4711, 4712], cgroup: true, cgroupIds: true, mntnsIds: true, pidNamespace: { dev: 4n, ino: 4026531836n },
}

/** As few kernels as have all variants, so that offsets make few differences. */
const listings = new Listings()
for (const [file, machine, backend, filter] of [
  ['fentry', machineOf('6.1-x86_64'), 'fentry', {}],
  ['kprobe', machineOf('6.1-x86_64'), 'kprobe', {}],
  ['kprobe-without-slots', without(machineOf('6.1-x86_64'), 'check_mtu'), 'kprobe', {}],
  ['tracepoint', machineOf('6.1-x86_64'), 'tracepoint', {}],
  ['6.18-tracepoint', machineOf('6.18-x86_64'), 'tracepoint', {}],
  ['6.18-kprobe', machineOf('6.18-x86_64'), 'kprobe', {}],
  ['fentry-filtered', machineOf('6.1-x86_64'), 'fentry', everything],
  ['6.18-tracepoint-filtered', machineOf('6.18-x86_64'), 'tracepoint', everything],
  ['fentry-ipv4', machineOf('6.1-x86_64'), 'fentry', { family: 4 }],
] as const) {
  test(`the programs of ${file} match the golden files`, () => {
    const [first, ...others] = plansOf(machine, backend, filter) as readonly Plan[]
    // What every kernel has is listed with the kernel that has the rest as well.
    const plans = file.startsWith('6.18-') || file.includes('filtered') || file.includes('ipv4') ? [first!] : [first!, ...others]
    const text = plans.map(({ variant, programs }) => {
      const listed = listings.list(`${file}, ${variant.needs}`, programs)
      return `with ${variant.needs}\n${listed}`
    })
    matchesGolden(text.join('\n'), `plan/${file}.txt`)
  })
}

/** What a plan gives to the kernel. */
function given({ maps, programs }: Plan) {
  const all = Object.fromEntries(Object.values(mapName).map((name, index) => [name, 10 + index]))
  return { maps, programs: programs.map(({ assembly, ...rest }) => ({ ...rest, insns: encode(assembly, all) })) }
}

/** The lines that no path comes to. */
function unreachable(assembly: Assembly): string[] {
  const all = new Map(lines(assembly).map((line, index, all) => [line.slot, { ...line, next: all[index + 1]?.slot }]))
  const reached = new Set<number>()
  const paths = [0]
  for (let slot = paths.pop(); slot !== undefined; slot = paths.pop()) {
    const line = all.get(slot)
    if (line === undefined || reached.has(slot)) continue
    reached.add(slot)
    const { insn, text, next } = line
    if (insn.label !== undefined) paths.push(slot + 1 + insn[distanceField(insn)])
    if (!/\) (exit|gotol? )/.test(text) && next !== undefined) paths.push(next)
  }
  return [...all.values()].filter(({ slot }) => !reached.has(slot)).map(({ slot, text }) => `${slot}: ${text}`)
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
const isPid = (pid: number) => `= 0x${pid.toString(16)} goto`
/** Whether a program asks if a process is wanted. */
const asks = (program: Assembled, { map }: (typeof choosing)[number]) =>
  map === undefined ? count(linesOf(program), isPid(4711)) > 0 : program.assembly.maps.includes(map)

for (const machine of distinct) {
  const { title: where, btf, arch, bytes, backend, plan, planWith: on } = machine
  const { variant } = plan
  const check = (title: string, run: () => void) => test(`${where}: ${title}`, run)

  check('the same request has the same plan, to the byte', () => {
    const plans = plansOf({ btf: parseBtf(bytes), arch }, backend) as readonly Plan[]
    const again = plans.find(plan => plan.variant === variant)!
    assert.equal(given(again), given(plan))
    assert.is(dump(again), dump(plan))
  })

  check('programs have names that the kernel can show, each its own, and every map that they use is there', () => {
    const names = plan.programs.map(({ name }) => name)
    assert.is(new Set(names).size, names.length)
    for (const name of names) assert.ok(name.length <= 15, name)
    for (const { name, hook, type, attachType, btfId } of plan.programs) {
      const byName = 'rawTracepoint' in hook || 'kprobe' in hook
      assert.is(type === 'tracing', !byName, name)
      assert.is(attachType === undefined, byName, name)
      assert.ok(byName ? btfId === undefined : btfId! > 0, name)
    }
    const own = plan.maps.map(({ name }) => name)
    for (const map of mapsOf(plan)) assert.ok(own.includes(map), map)
  })

  check('a missing hook or helper is the reason of the refusal, or is skipped if it is optional', () => {
    const { needs, helper, casts, hooks } = variant
    const lacking = (name: string) => plansOf(without(machine, name), backend)
    /** The backend is refused for this reason among others, unless another of its variants is possible. */
    const refused = (plans: ReturnType<typeof plansOf>, reason: string) => {
      if (plans instanceof Error) assert.match(plans.message, `it needs ${needs}; this kernel has no ${reason}`)
      else assert.not.ok(plans.some(plan => plan.variant === variant), reason)
    }
    const left = (plans: ReturnType<typeof plansOf>) => (plans as readonly Plan[]).find(plan => plan.variant === variant)!
    const serving = (...parts: readonly Part[]) => hooks.filter(({ part }) => part !== undefined && parts.includes(part)).map(({ program }) => program)
    const besides = (programs: readonly string[]) => plan.programs.map(({ name }) => name).filter(name => !programs.includes(name))
    for (const { on, program, optional, part, helper: hookHelper } of hooks) {
      const [name] = Object.values(on) as string[]
      // Slots are flushed and flows are audited at the same kind of point, and slots need names.
      const without = part === undefined || optional ? [program] : 'sweep' in on ? serving('slots', 'audit') : serving(part, ...part === 'names' ? ['slots'] as const : [])
      const instead = part === undefined || optional ? [] : hooks.filter(hook => hook.without === part).map(({ program }) => program)
      const gone = {
        names: [mapName.names, mapName.text, mapName.slots, mapName.pages, mapName.renames],
        slots: [mapName.slots, mapName.pages, mapName.renames], audit: [mapName.unsettled], mptcp: [mapName.mptcpSockets],
      }
      for (const what of [name!, ...hookHelper === undefined ? [] : [hookHelper]]) {
        const plans = lacking(what)
        if (!optional && !part) refused(plans, pointName(on))
        else {
          const names = left(plans).programs.map(({ name }) => name)
          assert.equal(names.filter(name => !instead.includes(name)), besides([...without, ...instead]))
          for (const name of instead) assert.ok(names.includes(name) !== plan.programs.some(program => program.name === name), `${name} without ${what}`)
        }
        for (const map of part && !optional ? gone[part] : []) assert.not.ok(left(plans).maps.some(({ name }) => name === map), `${map} without ${what}`)
      }
    }
    // What programs cannot do without is no such thing in itself.
    if (helper === undefined) assert.equal(left(lacking('check_mtu')).programs.map(({ name }) => name), besides(serving('slots', 'audit', 'mptcp')))
    if (helper !== undefined) refused(lacking(helper), `helper bpf_${helper}`)
    if (casts) refused(lacking('bpf_rdonly_cast'), 'function bpf_rdonly_cast')
  })

  check('a field that is missing is an error of its own, and says which', () => {
    const lacking: Btf = {
      ...btf,
      member: (struct, path) => btf.member(struct, path === 'bytes_acked' ? 'no_such_member' : path),
    }
    const error = plansOf({ btf: lacking, arch }, backend)
    assert.instance(error, BtfError)
    assert.match((error as BtfError).message, 'no no_such_member in struct tcp_sock')
  })

  check('capacity for more flows changes only the size of the map', () => {
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

  check('every instruction can be reached, with a filter too: the verifier refuses others', () => {
    for (const filter of [{}, ...choosing.map(({ filter }) => filter), { family: 4 as const }, { family: 6 as const }, everything]) {
      for (const { name, assembly } of on(filter).programs) assert.equal(unreachable(assembly), [], `${name} with ${Object.keys(filter).join()}`)
    }
  })

  check('where programs may not copy, typed ones do not, and every instruction can be reached', () => {
    const facts = { ...factsOf(btf, arch), mayCopy: false as const }
    for (const filter of [{}, ...choosing.map(({ filter }) => filter), everything]) {
      const request = { backend: backend, filter: { ...noFilter, ...filter }, maxFlows: 1 }
      const locked = [...makePlans(request, facts)].find(plan => plan.variant === variant)!
      for (const program of locked.programs) {
        assert.equal(unreachable(program.assembly), [], program.name)
        if (variant.access === typed) assert.is(count(linesOf(program), 'call bpf_probe_read_kernel'), 0, `${program.name} with ${Object.keys(filter).join()}`)
      }
    }
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

    check(`the filter ${name} asks where all others ask, and no program has another hook`, () => {
      const filtered = on(filter)
      assert.equal(hooksOf(filtered), hooksOf(plan))
      // Iterators look at other tasks than the current one, each filter in its own way.
      const askingFor = (filtered: Plan, one: (typeof choosing)[number]) =>
        filtered.programs.filter(program => !('iterator' in program.hook) && asks(program, one))
      const asking = askingFor(filtered, one)
      assert.ok(asking.length > 0)
      const first = askingFor(on(choosing[0]!.filter), choosing[0]!)
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

  check('programs for one family are never longer, and need the same maps', () => {
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

/** A change that makes the program wrong, and the test that must fail then. */
export interface Mutation {
  /** The file that is changed, as seen from the root. */
  readonly file: string
  /** What is to be replaced: it is in the file once. */
  readonly find: string
  readonly replace: string
  /** The test file that must fail. */
  readonly test: string
}

/** How a change is called: where it is and what it does. */
export function nameOf({ file, find, replace, test }: Mutation): string {
  const short = (text: string) => text.trim().replace(/\s+/g, ' ')
  return `${file}: ${short(find)} → ${short(replace) || 'nothing'} (${test})`
}

/** Changes of one file that the same test notices. */
interface Changes {
  readonly file: string
  readonly test: string
  readonly changes: readonly (readonly [find: string, replace: string])[]
}

const [truth, sharing, kind, slot] = ['truth', 'sharing', 'kind', 'slot'].map(name => `test/program/${name}.ts`) as [string, string, string, string]

/** Of what runs in the kernel; these tests run it without one. */
const programs: readonly Changes[] = [
  { file: 'src/program/counter.ts', test: truth, changes: [
    ['const finSent = bits(state.finWait1, state.finWait2, state.timeWait, state.lastAck, state.closing)', 'const finSent = bits(state.finWait1, state.finWait2, state.timeWait, state.lastAck)'],
    ['is.gt(r2, amount)', 'is.gt(r2, r2)'],
    ['is.set(r3, socketDone)', 'is.set(r3, 0)'],
    ['const sending = bits(state.established, state.closeWait, state.synRecv)', 'const sending = bits(state.established, state.synRecv)'],
  ] },
  { file: 'src/program/counter.ts', test: sharing, changes: [
    ["note('tries, if other CPUs are faster', mov(r5, 16))", "note('tries, if other CPUs are faster', mov(r5, 1))"],
    ["note('read first: what others queue and charge after this does not reduce ours', flow.txSeen.load(r0))", 'mov(r0, 0)'],
    ["note('other sends are under way: take only our part', mov(r2, amount))", '[]'],
  ] },
  { file: 'src/program/counter.ts', test: kind, changes: [
    ['is.eq(r3, urgentRead)', 'is.ne(r3, r3)'],
    ["note('r1: every byte ever queued', add(r1, r2))", 'mov(r1, r2)'],
  ] },
  { file: 'src/program/entry.ts', test: truth, changes: [
    ['is.ne(r2, r5).after(second.load(r2))', 'is.ne(r2, r2)'],
    ['is.ne(r2, r4).after(first.load(r2))', 'is.ne(r2, r2)'],
    ["note('its cgroup', to.cgroup.store(r1)),", ''],
    ["flow.netns.store(r1)", "part(flow.netns, 0, 'u16').store(r1)"],
    ["count('entered')", "count('gone')"],
    ['const mappedWord = 0xffff0000 | 0', 'const mappedWord = 0xffffff00 | 0'],
  ] },
  { file: 'src/program/charge.ts', test: truth, changes: [
    ['is.set(r1, kernelThread)', 'is.set(r1, 0)'],
  ] },
  { file: 'src/program/charge.ts', test: sharing, changes: [
    ['unless(is.eq32(r0, nobody), [is.eq(r0, r1).jump(own), ja(share)])', '[]'],
  ] },
  { file: 'src/program/charge.ts', test: kind, changes: [
    ["note('what the kernel moves for it is not wanted either', flow.last.store(filtered)),", ''],
    ['mov(flow, r0),\n    ]),\n    moved(flow),', ']),\n    moved(flow),'],
  ] },
  { file: 'src/program/life.ts', test: kind, changes: [
    ["note('another program has seen it', is.ne(r1, 0).jump(exit)),", ''],
    ["is.eq(r0, 0).jump(exit),\n    markGone(),", 'is.eq(r0, 0).jump(exit),'],
  ] },
  { file: 'src/program/enter.ts', test: truth, changes: [
    ["note('under repair', flow.txSeen.store(0))", '[]'],
    ["note('the SYN', flow.txSeen.store(1)),\n      ja(done),", 'ja(done),'],
  ] },
  { file: 'src/program/result.ts', test: kind, changes: [
    ['const notTaken = message.peek | message.errorQueue', 'const notTaken = message.errorQueue'],
    ['notTaken = message.peek | message.errorQueue', 'notTaken = message.peek'],
  ] },
  { file: 'src/program/receive.ts', test: truth, changes: [
    ["note('without an owner the lock is the kernel’s', is.eq(r1, 0).jump(last)),", ''],
  ] },
  { file: 'src/program/kernel.ts', test: kind, changes: [
    ['splicePages: 0x8000000', 'splicePages: 0x4000000'],
  ] },
  { file: 'src/program/receive.ts', test: kind, changes: [
    ["note('what the caller gets is in the return value', flow.rxSeen.store(r1)),", ''],
  ] },
  { file: 'src/program/slot.ts', test: slot, changes: [
    ["note('is it ours', is.ne(r2, r1).jump(without)),", ''],
    ['is.ge(r1, r2).jump(without),', ''],
  ] },
]

/** Of what runs in user space, and of the assembler. */
const others: readonly Changes[] = [
  { file: 'src/wasm/flow.ts', test: 'test/frame/aggregate.ts', changes: [
    ['if (load<u16>(slot, Slot.over) != 0) store<u16>(slot, 0, Slot.over)', ''],
    ['store<u64>(amounts + at, now - load<u64>(slot + at, Slot.counters))', 'store<u64>(amounts + at, now)'],
    ['if (who == ownOf(who)) endedCount++', 'endedCount++'],
  ] },
  { file: 'src/wasm/group.ts', test: 'test/frame/aggregate.ts', changes: [
    ['store<u64>(totals + at, load<u64>(totals + at) + more)', 'store<u64>(totals + at, more)'],
    ['this.frame - latest <= 1', 'this.frame == latest'],
    ['memory.fill(this.totalsOf(this.frame), 0, Measure.all)', ''],
  ] },
  { file: 'src/wasm/select.ts', test: 'test/frame/aggregate.ts', changes: [
    ['return moved > otherMoved != (', 'return moved < otherMoved != ('],
    ['return <i32>bswap(load<u16>(one)) - <i32>bswap(load<u16>(other))', 'return <i32>load<u16>(one) - <i32>load<u16>(other)'],
  ] },
  { file: 'src/frame/aggregate.ts', test: 'test/frame/aggregate.ts', changes: [
    ['      ended += wasm.endedCount()\n', ''],
    ['for (const family of byFamily ? [4, 6] : [0])', 'for (const family of byFamily ? [4] : [0])'],
    ['      isGrouped = false\n', ''],
  ] },
  { file: 'src/frame/frames.ts', test: 'test/frame/frames.ts', changes: [
    ['gone - aggregate.ended > maxFlows / 8', 'gone > maxFlows / 8'],
    ['now[name] - before[name]', 'now[name]'],
    ['cpu: (cpu - previous.cpu) / length', 'cpu: cpu - previous.cpu'],
    ['failure ??= error', 'void error'],
  ] },
  { file: 'src/backend/session.ts', test: 'test/backend/session.ts', changes: [
    ['runTimeNs / 1e9', 'runTimeNs / 1e6'],
    ['tx: at(Stat.lostTx)', 'tx: at(Stat.lostRx)'],
  ] },
  { file: 'src/backend/variants.ts', test: 'test/backend/variants.ts', changes: [
    ['  fentryAtReturn,\n  tracepointAtCall,\n', '  tracepointAtCall,\n  fentryAtReturn,\n'],
    ['.sort()', ''],
  ] },
  { file: 'src/backend/plan.ts', test: 'test/backend/plan.ts', changes: [
    ['variants.slice(0, variants.indexOf(variant))', 'variants'],
  ] },
  { file: 'src/trace/point/kprobe.ts', test: 'test/trace/point.ts', changes: [
    ['registers[arch]?.[position]', '8 * position'],
  ] },
  { file: 'src/doctor/host.ts', test: 'test/doctor/report.ts', changes: [
    ['variants.flatMap(one => trials.find(({ variant }) => variant === one) ?? [])[0]', 'trials.find(({ variant }) => variant !== undefined)'],
  ] },
  { file: 'src/view/decorator.ts', test: 'test/view/decorator.ts', changes: [
    [' || hostPid === Pid.kernel', ''],
  ] },
  { file: 'src/view/cgroup.ts', test: 'test/view/cgroup.ts', changes: [
    ['parseInt(octal, 8)', 'parseInt(octal, 10)'],
  ] },
  { file: 'src/trace/event.ts', test: 'test/trace/event.ts', changes: [
    ['left > 0; left--', 'left > 0;'],
  ] },
  { file: 'src/option/value.ts', test: 'test/option/options.ts', changes: [
    ['value <= maxSeconds', 'value < maxSeconds'],
    ['value >= 1 && value <= maxPid', 'value >= 0 && value <= maxPid'],
    ['[...new Set(values)]', 'values'],
  ] },
  { file: 'src/option/options.ts', test: 'test/option/options.ts', changes: [
    ["live: format.isForEyes && !line.has('noclear')", "live: !line.has('noclear')"],
    ["if (line.has('ipv4') && line.has('ipv6'))", "if (line.has('ipv4') && line.has('ipv4') && false)"],
  ] },
  { file: 'src/option/command.ts', test: 'test/command/command.ts', changes: [
    ['{ ...command.options, ...main.options, ...command.options }', '{ ...main.options, ...command.options }'],
    ['rest: line.rest.slice(1)', 'rest: line.rest'],
  ] },
  { file: 'src/option/command-line.ts', test: 'test/option/options.ts', changes: [
    ["if (argument === '--') next = 'word'\n      else next", 'next'],
  ] },
  { file: 'src/view/grouping.ts', test: 'test/view/grouping.ts', changes: [
    ['.includes(field)) ? others : kept', '.includes(field)) ? kept : kept'],
    ['shown.includes(column.pid) && !isIn', 'shown.includes(column.pid) || !isIn'],
    ['groupings.find(({ criteria }) => criteria.length === all.length) ?? ', ''],
  ] },
  { file: 'src/view/table.ts', test: 'test/view/table.ts', changes: [
    ['  if (rows.length === 0) return []\n', ''],
    ['events === 0 && rx === 0 && tx === 0', 'events === 0'],
  ] },
  { file: 'src/view/csv.ts', test: 'test/view/csv.ts', changes: [
    ['text.replaceAll(\'"\', \'""\')', 'text'],
  ] },
  { file: 'src/view/json.ts', test: 'test/view/json.ts', changes: [
    ["loadavg.split(' ', 3)", "loadavg.split(' ', 2)"],
  ] },
  { file: 'syscall/map.ts', test: 'test/syscall/map.ts', changes: [
    ['    deleted += gone\n', '    deleted = gone\n'],
    ['if (result < 0 && result !== -ENOENT) throw new SyscallError(\'bpf(BPF_MAP_DELETE_ELEM)\', -result)', ''],
  ] },
  { file: 'syscall/kprobe.ts', test: 'test/syscall/kprobe.ts', changes: [
    ["(error as NodeJS.ErrnoException).code !== 'ESRCH'", 'false'],
  ] },
  { file: 'syscall/prog.ts', test: 'test/syscall/prog.ts', changes: [
    [' || second.fd === -ENOSPC', ''],
  ] },
  { file: 'src/doctor/check.ts', test: 'test/doctor/check.ts', changes: [
    ["isBefore(release, '5.12')", "isBefore(release, '5.13')"],
  ] },
  { file: 'bpf-asm/operation.ts', test: 'test/bpf-asm/interpret.ts', changes: [
    ["signed(bits, dst) >> distance(bits, src)", 'dst >> distance(bits, src)'],
    ["result: (dst, src) => src === 0n ? dst : dst % src", "result: (dst, src) => src === 0n ? 0n : dst % src"],
  ] },
  { file: 'bpf-asm/assemble.ts', test: 'test/bpf-asm/assemble.ts', changes: [
    ['distance > 0x7fff', 'distance > 0xffff'],
  ] },
]

const [parsing, folding, evaluating] = ['test/filter/parse.ts', 'test/filter/fold.ts', 'test/filter/evaluate.ts'] as const

/** Of the filter language. */
const filter: readonly Changes[] = [
  { file: 'src/filter/parse.ts', test: parsing, changes: [
    ['link.jointAt === link.at && ', ''],
    ["this.#isScreen = screen", 'this.#isScreen = true'],
    ['index > 1 && link.joint !== joint', 'index > 1 && link.joint !== joint && false'],
    ["word === 'net', this.#portOf)\n      case", "false, this.#portOf)\n      case"],
  ] },
  { file: 'src/filter/term.ts', test: parsing, changes: [
    ["Number(to) <= most ?", 'true ?'],
    ['utf8.encode(text).length', 'text.length'],
    ["exec(text) ?? /^([^:]*)", "exec(text) ?? /^(.*)"],
    ["return unless(operator, join('or'", "return unless('=', join('or'"],
  ] },
  { file: 'src/filter/token.ts', test: parsing, changes: [
    ["match[1]?.replaceAll(\"''\", \"'\")", 'match[1]'],
    ['|(?<=\\[)!', ''],
  ] },
  { file: 'src/filter/reading.ts', test: parsing, changes: [
    ["inOrder === andFirst ? grouped(parts, 'or', 'and') : inOrder", 'inOrder'],
  ] },
  { file: 'src/filter/error.ts', test: parsing, changes: [
    ["' '.repeat(cells(before))", "' '.repeat(before.length)"],
    ['super([printable(message),', 'super([message,'],
  ] },
  { file: 'src/filter/fold.ts', test: folding, changes: [
    ["(expression.kind === 'and') === isNegated ? 'or' : 'and'", 'expression.kind'],
    ["difference(outside.reduce(intersection), inside)", 'outside.reduce(intersection)'],
    ["return isNegated || test.kind === 'measure'", "return test.kind === 'measure'"],
    ['isNegated === isAnd ? never : always', 'never'],
  ] },
  { file: 'src/filter/evaluate.ts', test: evaluating, changes: [
    ['subject.isKernel !== true && test(subject)', 'test(subject)'],
    ['if (inside !== undefined) return has4(inside)', ''],
    ['return path => isIn(`${path}/`)', 'return isIn'],
    ['ranges[middle]!.to < value', 'ranges[middle]!.to <= value'],
  ] },
  { file: 'src/filter/address.ts', test: 'test/filter/address.ts', changes: [
    ['&& !(digits > 0 && value === 0)', ''],
    ['missing !== 0 : missing < 1', 'missing !== 0 : missing < 0'],
    [' || !contains(twice, next)', ''],
    ['last !== undefined && contains(last, next)', 'last !== undefined && false'],
  ] },
  { file: 'src/filter/glob.ts', test: 'test/filter/glob.ts', changes: [
    ["glob.slice(element).every(({ kind }) => kind === 'any')", 'element === glob.length'],
    ['!== element.isNegated', ''],
  ] },
  { file: 'src/filter/words.ts', test: 'test/filter/words.ts', changes: [
    ['Math.min(2 - before, ', 'Math.min(2, '],
    ['errors.find(error => error instanceof MixedError) ?? ', ''],
    ['let behind = 0; behind <= mostBehind; behind++', 'let behind = mostBehind; behind >= 0; behind--'],
  ] },
]

/** All changes. */
export const mutations: readonly Mutation[] =
  [...programs, ...others, ...filter].flatMap(({ file, test, changes }) => changes.map(([find, replace]) => ({ file, find, replace, test })))

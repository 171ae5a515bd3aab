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

const [truth, sharing, kind, pocket] = ['truth', 'sharing', 'kind', 'pocket'].map(name => `test/program/${name}.ts`) as [string, string, string, string]

/** Of what runs in the kernel; these tests run it without one. */
const programs: readonly Changes[] = [
  { file: 'src/program/counter.ts', test: truth, changes: [
    ['const finSent = bits(state.finWait1, state.finWait2, state.timeWait, state.lastAck, state.closing)', 'const finSent = bits(state.finWait1, state.finWait2, state.timeWait, state.lastAck)'],
    ["    jle(r2, amount, `${name}_whole`),\n", "    ja(`${name}_whole`),\n"],
    ["note('less the FIN', sub(r1, 1)),\n    label(`${name}_known`)", "label(`${name}_known`)"],
    ['const sending = bits(state.established, state.closeWait, state.synRecv)', 'const sending = bits(state.established, state.synRecv)'],
  ] },
  { file: 'src/program/counter.ts', test: sharing, changes: [
    ["const tries = [note('tries, should others be faster', mov(r5, 16))", "const tries = [note('tries, should others be faster', mov(r5, 1))"],
    ["note('read first: what others queue and charge after that is no less of what is ours', load(r0, 'u64', flow, Value.txSeen))", "mov(r0, 0)"],
    ["note('others’ sends are under way: take our own part', mov(r2, amount)),", ''],
  ] },
  { file: 'src/program/counter.ts', test: kind, changes: [
    ['jne(r3, urgentRead, name)', 'ja(name)'],
    ["note('r1: every byte ever queued', add(r1, r2))", 'mov(r1, r2)'],
  ] },
  { file: 'src/program/charge.ts', test: truth, changes: [
    ["load(r2, 'u64', flow, Value.comm + 8)", "mov(r2, r5)"],
    ['jeq(r2, r5, done)', 'ja(done)'],
    ["note('its cgroup', store('u32', base, offset + Value.cgroup, r1)),", ''],
    ['and(r1, kernelThread), jne(r1, 0', 'and(r1, kernelThread), jne(r1, 1'],
  ] },
  { file: 'src/program/charge.ts', test: sharing, changes: [
    ["[jeq32(r0, nobody, 'claimed'), jeq(r0, r1, 'own'), ja('share'), label('claimed')]", "[ja('claimed'), label('claimed')]"],
  ] },
  { file: 'src/program/charge.ts', test: kind, changes: [
    ["note('what the kernel moves for it is not wanted either', store('u32', flow, Value.last, filtered)),", ''],
    ["label(to('shared')),\n    mov(flow, r0),", "label(to('shared')),"],
  ] },
  { file: 'src/program/life.ts', test: kind, changes: [
    ["note('another program has seen it', jne(r1, 0, 'exit')),", ''],
    ["    markGone(),\n      leave(),\n    ],\n", "    leave(),\n    ],\n"],
  ] },
  { file: 'src/program/enter.ts', test: truth, changes: [
    ["note('under repair', store('u64', flow, Value.txSeen, 0)),", ''],
    ["store('u32', flow, Value.netns, r1)", "store('u16', flow, Value.netns, r1)"],
    ["count(Stat.entered)", 'count(Stat.gone)'],
    ["note('the SYN', store('u64', flow, Value.txSeen, 1)),\n    ja(done)", 'ja(done)'],
    ['const mappedWord = 0xffff0000 | 0', 'const mappedWord = 0xffffff00 | 0'],
  ] },
  { file: 'src/program/result.ts', test: kind, changes: [
    ['const notTaken = 0x2 | 0x2000', 'const notTaken = 0x2000'],
    ['notTaken = 0x2 | 0x2000', 'notTaken = 0x2'],
  ] },
  { file: 'src/program/receive.ts', test: truth, changes: [
    ["note('without an owner the lock is the kernel’s', jeq(r1, 0, 'unattended')),", ''],
  ] },
  { file: 'src/program/send.ts', test: kind, changes: [
    ['const splicePages = 0x8000000', 'const splicePages = 0x4000000'],
  ] },
  { file: 'src/program/receive.ts', test: kind, changes: [
    ["note('what the caller gets is in the return value', store('u64', flow, Value.rxSeen, r1)),", ''],
  ] },
  { file: 'src/program/pocket.ts', test: truth, changes: [
  ] },
  { file: 'src/program/pocket.ts', test: pocket, changes: [
    ["note('is it ours', jne(r2, r1, 'unpocketed')),", ''],
    ["jge(r1, r2, 'unpocketed'),", ''],
  ] },
  { file: 'src/program/probed.ts', test: truth, changes: [
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
  { file: 'src/view/decorator.ts', test: 'test/view/decorator.ts', changes: [
    [' || hostPid === Pid.kernel', ''],
  ] },
  { file: 'src/view/cgroup.ts', test: 'test/view/cgroup.ts', changes: [
    ['parseInt(octal, 8)', 'parseInt(octal, 10)'],
  ] },
  { file: 'src/trace/event.ts', test: 'test/trace/event.ts', changes: [
    ['left > 0; left--', 'left > 0;'],
  ] },
  { file: 'src/option/check.ts', test: 'test/option/options.ts', changes: [
    ['value <= maxSeconds', 'value < maxSeconds'],
    ['value >= 1 && value <= maxPid', 'value >= 0 && value <= maxPid'],
    ['[...new Set(values)]', 'values'],
  ] },
  { file: 'src/option/options.ts', test: 'test/option/options.ts', changes: [
    ["clear: format.fullScreen && !line.has('noclear')", "clear: !line.has('noclear')"],
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
    ['let room = rows - 1', 'let room = rows'],
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

/** All changes. */
export const mutations: readonly Mutation[] =
  [...programs, ...others].flatMap(({ file, test, changes }) => changes.map(([find, replace]) => ({ file, find, replace, test })))

import {
  and, atomicAdd, cmpxchg, type Code, exit, ja, jeq, jeq32, jne, jne32, label, load, loadImm64, mov, mov32, note, r0, r1, r10, r2,
  r3, r4, r5, type Register, store,
} from '../../bpf-asm/index.js'
import { Key, Pid, Stat, Value } from '../layout.js'
import { lookup } from './access.js'
import { amount, type Context, flow, isAlone, mapName, stack, task } from './context.js'
import { insert } from './enter.js'
import { cgroupMembers } from './field.js'
import { admit, choosesProcesses, notePidInside } from './filter.js'
import { makePocket } from './pocket.js'
import { count } from './stat.js'

/** What was moved and is to be charged: code that adds it to counters of bytes sent and received. Clobbers r3. */
export type Moved = (base: Register, tx: number, rx: number) => Code

/** `amount` was sent. */
export const tx: Moved = (base, sent) => atomicAdd('u64', base, sent, amount)
/** `amount` was received. */
export const rx: Moved = (base, _, received) => atomicAdd('u64', base, received, amount)
/** `amount` was sent and what is on the stack was received. */
export const both: Moved = (base, sent, received) => [
  tx(base, sent, received),
  load(r3, 'u64', r10, stack.received),
  atomicAdd('u64', base, received, r3),
]

/** The name of what is no process: `kernel` as 8 bytes. */
const kernelName = new DataView(new TextEncoder().encode('kernel\0\0').buffer).getBigUint64(0, true)
/** `PF_KTHREAD` (include/linux/sched.h) */
export const kernelThread = 0x00200000
/** `Pid.nobody` and `Pid.filtered` as signed immediates */
export const nobody = -1
const filtered = Pid.filtered | 0

/**
 * Charges what was moved to the current process, which is at work on the socket. The first process that moves bytes owns the entry and
 * is charged in it; any other gets an entry of its own beside it. Ends the program.
 */
export function chargeCurrent(context: Context, moved: Moved, { pockets = false } = {}): Code {
  const { field, filter, access } = context
  const unlessKernel = [access.read(r1, field.taskFlags, task), and(r1, kernelThread), jne(r1, 0, 'unattended')]
  const byId = { ...filter, cgroup: false, cgroupIds: false, mntnsIds: false }
  const byGroup = { ...filter, pids: [] }
  return [
    access.current(),
    choosesProcesses(byGroup) ? [unlessKernel, admit({ ...context, filter: byGroup }, 'filtered', 'admit_group')] : [],
    access.tgid(r1),
    load(r2, 'u32', flow, Value.pid),
    note('the owner was looked at when it became that', jne(r2, r1, 'other')),
    label('own'),
    load(r2, 'u32', flow, Value.last),
    pockets ? store('u32', r10, stack.filterKey, r2) : [],
    jeq(r2, r1, 'named'),
    store('u32', flow, Value.last, r1),
    label('named'),
    refreshComm(context, 'count'),
    label('count'),
    moved(flow, Value.tx, Value.rx),
    pockets ? [load(r1, 'u32', r10, stack.filterKey), makePocket(context)] : [],
    leave(),

    label('other'),
    choosesProcesses(byGroup) ? [] : unlessKernel,
    admit({ ...context, filter: byId }, 'filtered'),
    access.tgid(r1),
    load(r2, 'u32', flow, Value.pid),
    jne32(r2, nobody, 'share'),
    note('the first to move bytes owns the entry', claim(context)),
    isAlone(context) ? [] : [jeq32(r0, nobody, 'claimed'), jeq(r0, r1, 'own'), ja('share'), label('claimed')],
    copyOrigin(context, flow, 0),
    notePidInside(context, 'owner_noted'),
    access.tgid(r1),
    ja('own'),
    label('share'),
    store('u32', flow, Value.last, r1),
    note('the process’s own entry beside the owner’s', store('u32', r10, stack.key + Key.pid, r1)),
    lookup(mapName.flows, stack.key),
    jne(r0, 0, 'shared'),
    notePidInside(context, 'share_noted'),
    access.tgid(r1),
    copyShare(),
    copyOrigin(context, r10, stack.value),
    insert('share_known'),
    label('share_known'),
    lookup(mapName.flows, stack.key),
    jeq(r0, 0, 'lose'),
    label('shared'),
    mov(flow, r0),
    access.tgid(r1),
    ja('own'),

    choosesProcesses(filter) ? [
      label('filtered'),
      note('what the kernel moves for it is not wanted either', store('u32', flow, Value.last, filtered)),
      leave(),
    ] : [],
    label('unattended'),
    chargeLast(context, moved, 'unattended'),
    leave(),
    label('lose'),
    lose(moved),
    leave(),
  ]
}

/** Makes r1 the owner of `flow`, which is nobody's; where others may do that too, unless r0 is then one who was faster. */
function claim(context: Context): Code {
  return isAlone(context) ? store('u32', flow, Value.pid, r1) : [mov32(r0, nobody), cmpxchg('u32', flow, Value.pid, r1)]
}

/** Charges what the kernel moved while no process was at work, to the process that used the socket last. */
export function chargeLast(context: Context, moved: Moved, name: string): Code {
  const to = (part: string) => `${name}_${part}`
  return [
    load(r1, 'u32', flow, Value.last),
    choosesProcesses(context.filter) ? [jeq32(r1, filtered, to('done')), jeq32(r1, nobody, to('done'))] : [
      jne32(r1, nobody, to('known')),
      note('no process ever used it: a socket of the kernel', loadImm64(r1, kernelName), store('u64', flow, Value.comm, r1), mov(r1, Pid.kernel)),
      label(to('known')),
    ],
    load(r2, 'u32', flow, Value.pid),
    jeq(r2, r1, to('add')),
    jne32(r2, nobody, to('share')),
    claim(context),
    isAlone(context) ? ja(to('add')) : [jeq32(r0, nobody, to('add')), jeq(r0, r1, to('add'))],
    label(to('share')),
    store('u32', r10, stack.key + Key.pid, r1),
    lookup(mapName.flows, stack.key),
    jne(r0, 0, to('shared')),
    note('the map had no space for its share', lose(moved)),
    ja(to('done')),
    label(to('shared')),
    mov(flow, r0),
    label(to('add')),
    moved(flow, Value.tx, Value.rx),
    label(to('done')),
  ]
}

/** Counts what was moved as not attributed. */
export function lose(moved: Moved): Code {
  return [
    count(Stat.lostEvents),
    moved(r1, Stat.lostTx, Stat.lostRx),
  ]
}

/** `flow`'s comm is that of the leader of `task`'s thread group. Clobbers r0 to r5. */
export function copyComm({ access }: Context): Code {
  return [access.comm(), store('u64', flow, Value.comm, r4), store('u64', flow, Value.comm + 8, r5)]
}

/** Into the value at `base + offset`, the cgroup of `task` as it is now, and when its process started. Clobbers r0 to r5. */
export function copyOrigin(context: Context, base: Register, offset: number): Code {
  const { access, field } = context
  const members = cgroupMembers(field)
  return [
    members.length === 0 ? [] : [
      members.map((member, index) => access.read(r1, member, index === 0 ? task : r1)),
      note('its cgroup', store('u32', base, offset + Value.cgroup, r1)),
    ],
    copyStart(context, base, offset),
  ]
}

function copyStart({ access, field: { leader, startTime } }: Context, base: Register, offset: number): Code {
  return startTime === undefined ? [] : [
    access.read(r1, leader, task),
    access.read(r1, startTime, r1),
    note('when its process started', store('u64', base, offset + Value.start, r1)),
  ]
}

function refreshComm(context: Context, done: string): Code {
  const { access } = context
  return [
    access.comm(),
    load(r2, 'u64', flow, Value.comm),
    jne(r2, r4, 'rename'),
    load(r2, 'u64', flow, Value.comm + 8),
    jeq(r2, r5, done),
    label('rename'),
    store('u64', flow, Value.comm, r4),
    store('u64', flow, Value.comm + 8, r5),
    // It may be another process of this id.
    copyStart(context, flow, 0),
  ]
}

/** On the stack: an entry of r1's share of the socket of `flow`. */
function copyShare(): Code {
  const words = (from: number, to: number) => Array.from({ length: (to - from) / 8 }, (_, index) => from + 8 * index)
  const share = (offset: number) => stack.value + offset
  return [
    words(Value.flags, Value.laddr).map(offset => store('u64', r10, share(offset), 0)),
    store('u32', r10, share(Value.pid), r1),
    store('u32', r10, share(Value.last), r1),
    words(Value.laddr, Value.size).map(offset => [load(r2, 'u64', flow, offset), store('u64', r10, share(offset), r2)]),
  ]
}

export function leave(): Code {
  return [mov(r0, 0), exit()]
}

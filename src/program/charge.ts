import {
  and, atomicAdd, call, cmpxchg, type Code, exit, ja, jeq, jeq32, jne, jne32, label, load, loadMapValue, mov, mov32, note, r0, r1, r10, r2, r3, r4,
  r5, store,
} from '../../bpf-asm/index.js'
import { Key, Pid, Stat, Value } from '../layout.js'
import { amount, type Context, flow, lookup, mapName, read, stack, task } from './context.js'
import { insert } from './enter.js'
import type { Field } from './field.js'
import { admit, choosesProcesses } from './filter.js'

/** Which counter of an entry is charged. */
export type Counter = 'tx' | 'rx'

const total = { tx: Value.tx, rx: Value.rx } as const

/** `PF_KTHREAD` (include/linux/sched.h) */
const kernelThread = 0x00200000
/** `Pid.nobody` as a signed immediate */
const nobody = -1
const filtered = Pid.filtered | 0

/**
 * Charges `amount` to the current process, which is at work on the socket. The first process that moves bytes owns the entry and
 * is charged in it; any other gets an entry of its own beside it. Ends the program.
 */
export function chargeCurrent(context: Context, counter: Counter): Code {
  const { field, filter } = context
  return [
    call('get_current_task_btf'),
    mov(task, r0),
    read(r1, field.taskFlags, task),
    and(r1, kernelThread),
    jne(r1, 0, 'unattended'),
    admit(context, 'filtered'),
    read(r1, field.tgid, task),
    load(r2, 'u32', flow, Value.pid),
    jne(r2, r1, 'other'),
    label('own'),
    load(r2, 'u32', flow, Value.last),
    jeq(r2, r1, 'named'),
    store('u32', flow, Value.last, r1),
    label('named'),
    refreshComm(field, 'count'),
    label('count'),
    atomicAdd('u64', flow, total[counter], amount),
    leave(),

    label('other'),
    jne32(r2, nobody, 'share'),
    note('the first to move bytes owns the entry', mov32(r0, nobody)),
    cmpxchg('u32', flow, Value.pid, r1),
    jeq32(r0, nobody, 'own'),
    jeq(r0, r1, 'own'),
    label('share'),
    store('u32', flow, Value.last, r1),
    note('the process’s own entry beside the owner’s', store('u32', r10, stack.key + Key.pid, r1)),
    lookup(mapName.flows, stack.key),
    jne(r0, 0, 'shared'),
    copyShare(field),
    insert('share_known'),
    label('share_known'),
    lookup(mapName.flows, stack.key),
    jeq(r0, 0, 'lose'),
    label('shared'),
    mov(flow, r0),
    read(r1, field.tgid, task),
    ja('own'),

    choosesProcesses(filter) ? [
      label('filtered'),
      note('what the kernel moves for it is not wanted either', store('u32', flow, Value.last, filtered)),
      leave(),
    ] : [],
    label('unattended'),
    chargeLast(context, counter, 'unattended'),
    leave(),
    label('lose'),
    lose(counter),
    leave(),
  ]
}

/** Charges `amount`, which the kernel moved while no process was at work, to the process that used the socket last. */
export function chargeLast({ filter }: Context, counter: Counter, name: string): Code {
  const to = (part: string) => `${name}_${part}`
  return [
    load(r1, 'u32', flow, Value.last),
    choosesProcesses(filter) ? [jeq32(r1, filtered, to('done')), jeq32(r1, nobody, to('done'))] : [
      jne32(r1, nobody, to('known')),
      note('no process ever used it: a socket of the kernel', mov(r1, Pid.kernel)),
      label(to('known')),
    ],
    load(r2, 'u32', flow, Value.pid),
    jeq(r2, r1, to('add')),
    jne32(r2, nobody, to('share')),
    mov32(r0, nobody),
    cmpxchg('u32', flow, Value.pid, r1),
    ja(to('add')),
    label(to('share')),
    store('u32', r10, stack.key + Key.pid, r1),
    lookup(mapName.flows, stack.key),
    jeq(r0, 0, to('add')),
    mov(flow, r0),
    label(to('add')),
    atomicAdd('u64', flow, total[counter], amount),
    label(to('done')),
  ]
}

/** Counts `amount` as not attributed. */
export function lose(counter: Counter): Code {
  return [
    loadMapValue(r1, mapName.stats, 0),
    mov(r2, 1),
    atomicAdd('u64', r1, Stat.lostEvents, r2),
    atomicAdd('u64', r1, counter === 'tx' ? Stat.lostTx : Stat.lostRx, amount),
  ]
}

/** `flow`'s comm is that of the leader of `task`'s thread group. Clobbers r2 to r5. */
export function copyComm(field: Field): Code {
  return [readComm(field), store('u64', flow, Value.comm, r4), store('u64', flow, Value.comm + 8, r5)]
}

function refreshComm(field: Field, done: string): Code {
  return [
    readComm(field),
    load(r2, 'u64', flow, Value.comm),
    jne(r2, r4, 'rename'),
    load(r2, 'u64', flow, Value.comm + 8),
    jeq(r2, r5, done),
    label('rename'),
    store('u64', flow, Value.comm, r4),
    store('u64', flow, Value.comm + 8, r5),
  ]
}

function readComm(field: Field): Code {
  return [
    note('the name is the thread group leader’s', read(r3, field.leader, task)),
    load(r4, 'u64', r3, field.comm.offset),
    load(r5, 'u64', r3, field.comm.offset + 8),
  ]
}

/** On the stack: an entry of r1's share of the socket of `flow`. */
function copyShare(field: Field): Code {
  const words = (from: number, to: number) => Array.from({ length: (to - from) / 8 }, (_, index) => from + 8 * index)
  const share = (offset: number) => stack.value + offset
  return [
    read(r1, field.tgid, task),
    words(Value.flags, Value.laddr).map(offset => store('u64', r10, share(offset), 0)),
    store('u32', r10, share(Value.pid), r1),
    store('u32', r10, share(Value.last), r1),
    words(Value.laddr, Value.size).map(offset => [load(r2, 'u64', flow, offset), store('u64', r10, share(offset), r2)]),
  ]
}

export function leave(): Code {
  return [mov(r0, 0), exit()]
}

import {
  add, and, atomicAdd, call, type Code, jeq, jeq32, jge, jne, jsle32, jslt32, label, load, loadMapValue, lsh, mov, note, or, r0, r1, r2, r3,
  r9, r10, type Register, store, sub, sub32, xchg,
} from '../../bpf-asm/index.js'
import { Key, Value } from '../layout.js'
import { leave, type Moved, nobody } from './charge.js'
import { amount, type Context, flow, mapName, socket, stack, state, task } from './context.js'
import { consumed, unknownEnd, urgentRead } from './counter.js'
import { admit } from './filter.js'

/**
 * A pocket is where a process that has a socket to itself counts what it moves: in what is kept of the socket beside its flow, so that one look is
 * enough. It starts as a `Value` does: `isn`, `txSeen` and `rxSeen` are the flow's, `pid` is whose it is, or nobody's. The socket's lock is held
 * whenever it is used. It is settled, and is nobody's, before anything else is done with the socket's entry, but for what is charged by what a call
 * returned, without the lock; and what is in it goes to the entry before each walk over the flows.
 */
const Pocket = {
  /** u32: `copied_seq` less all that was ever consumed, the same as long as no FIN has been received. */
  firstReceived: Value.last,
  /** u64: what the entry of the flow does not have yet. */
  tx: Value.comm,
  rx: Value.comm + 8,
  /**
   * u64: whoever was renamed since this time, in nanoseconds, may have another name in the flow. Not seen: a child that got the id of a process
   * that is gone and has its parent's name.
   */
  named: Value.laddr,
  /** u64 of `keepConnection` */
  connection: Value.laddr + 8,
  size: Value.laddr + 16,
} as const

export const pocketSize = Pocket.size

/** `mapName.names` has, by the last bits of their ids, when processes were renamed last. */
const processes = 1024
export const namesSize = 8 * processes
/** Nanoseconds in which a task has the name that `task_rename` tells of, and more. */
const renaming = 10_000_000

/** `dst =` where `mapName.names` has the process in `pid`. Clobbers `pid`. */
function nameOf(dst: Register, pid: Register): Code {
  return [and(pid, processes - 1), lsh(pid, 3), loadMapValue(dst, mapName.names, 0), add(dst, pid)]
}

/** `trace_task_rename(task, name)`, right before it has that name. */
export function renamed({ access, field }: Context): Code {
  return [
    load(task, 'u64', r1, 0),
    access.read(amount, field.tgid, task),
    call('ktime_get_ns'),
    nameOf(r1, amount),
    store('u64', r1, 0, r0),
    leave(),
  ]
}

/**
 * Ends the program when `socket` has a pocket and the current process is whose it is: what `take` finds is counted there. For `take`, `flow` is the
 * pocket; it goes to `unpocketed` in all but the simplest case.
 */
export function countInPocket(context: Context, take: Code, moved: Moved): Code {
  const { access, filter, pocket } = context
  return !pocket ? [] : [
    note('the socket’s pocket, if it is ours', access.kept(false)),
    jeq(r0, 0, 'unpocketed'),
    mov(flow, r0),
    access.current(),
    access.tgid(r1),
    load(r2, 'u32', flow, Value.pid),
    jne(r2, r1, 'unpocketed'),
    note('and has the name that it had', nameOf(r1, r2)),
    load(r1, 'u64', r1, 0),
    load(r2, 'u64', flow, Pocket.named),
    jge(r1, r2, 'unpocketed'),
    // A process that was wanted by its id still is; it may have left its cgroup or namespace.
    admit({ ...context, filter: { ...filter, pids: [] } }, 'unpocketed'),
    take,
    moved(flow, Pocket.tx, Pocket.rx),
    leave(),
    label('unpocketed'),
  ]
}

/**
 * What was queued since, if it is what the call returned. The lower halves tell, for that is never as much as they hold; and `write_seq` alone
 * does, for with a FIN, which it counts too, it would be one more.
 */
export function sentFromPocket(context: Context): Code {
  return [
    queuedSince(context, r1, r2),
    jne(r1, amount, 'unpocketed'),
    add(r2, amount),
    store('u64', flow, Value.txSeen, r2),
  ]
}

/** `amount =` what was consumed since, by the process itself, while no FIN has arrived; goes to `none` without any. */
export function receivedFromPocket(context: Context, none: string): Code {
  const { access, field } = context
  return [
    access.read(r1, field.owned, socket),
    note('without an owner the lock is the kernel’s', jeq(r1, 0, 'unpocketed')),
    access.unlessSame(flow, Pocket.connection, 'unpocketed'),
    consumedSince(context, amount, r2),
    jsle32(amount, 0, none),
    add(r2, amount),
    store('u64', flow, Value.rxSeen, r2),
  ]
}

/**
 * `amount =` what was queued since, and on the stack what was consumed, while the connection is the same and no FIN was sent or has arrived;
 * goes to `none` when it is nothing, and reads as little as it can before that.
 */
export function movedFromPocket(context: Context, none: string): Code {
  const { access, field } = context
  return [
    access.refresh([field.copiedSeq, field.urgData, field.writeSeq]),
    access.read(r1, field.urgData, socket),
    note('an urgent byte may be read ahead of the stream', jeq(r1, urgentRead, 'unpocketed')),
    consumedSince(context, r1, r2),
    queuedSince(context, amount, r3),
    mov(r0, r1),
    or(r0, amount),
    jeq(r0, 0, none),
    jslt32(r1, 0, 'unpocketed'),
    jslt32(amount, 0, 'unpocketed'),
    store('u64', r10, stack.received, r1),
    access.unlessSame(flow, Pocket.connection, 'unpocketed'),
    load(r1, 'u64', r10, stack.received),
    ([[Value.txSeen, amount], [Value.rxSeen, r1]] as const).map(([offset, more]) => [
      load(r2, 'u64', flow, offset),
      add(r2, more),
      store('u64', flow, offset, r2),
    ]),
  ]
}

/** `dst =` the lower half of what was queued since, `seen = txSeen`. */
function queuedSince({ access, field }: Context, dst: Register, seen: Register): Code {
  return since(access.read(dst, field.writeSeq, socket), Value.isn, Value.txSeen, dst, seen)
}

/** `dst =` the lower half of what was consumed since, `seen = rxSeen`. */
function consumedSince({ access, field }: Context, dst: Register, seen: Register): Code {
  return since(access.read(dst, field.copiedSeq, socket), Pocket.firstReceived, Value.rxSeen, dst, seen)
}

function since(now: Code, first: number, counted: number, dst: Register, seen: Register): Code {
  return [now, load(seen, 'u32', flow, first), sub32(dst, seen), load(seen, 'u64', flow, counted), sub32(dst, seen)]
}

/** Gives `socket` a pocket, of the process that owns `flow`, if that is the socket's own entry and whoever used the socket last, r1, owns it. */
export function makePocket(context: Context): Code {
  const { access, field, pocket } = context
  return !pocket ? [] : [
    load(r2, 'u32', flow, Value.pid),
    jne(r2, r1, 'pocketed'),
    note('a share has none', load(r1, 'u32', r10, stack.key + Key.pid)),
    jne(r1, 0, 'pocketed'),
    load(r1, 'u32', flow, Value.flags),
    jne(r1, 0, 'pocketed'),
    access.read(r1, field.state, socket),
    jne(r1, state.established, 'pocketed'),
    Array.from({ length: Pocket.size / 8 }, (_, index) => store('u64', r10, stack.value + 8 * index, 8 * index === Value.txEnd ? unknownEnd : 0)),
    store('u32', r10, stack.value + Value.pid, nobody),
    access.kept(true),
    jeq(r0, 0, 'pocketed'),
    mov(r9, r0),
    load(r1, 'u32', flow, Value.isn),
    store('u32', r9, Value.isn, r1),
    [Value.txSeen, Value.rxSeen].map(offset => [load(r1, 'u64', flow, offset), store('u64', r9, offset, r1)]),
    [Pocket.tx, Pocket.rx].map(offset => store('u64', r9, offset, 0)),
    consumed(context, 'pocket'),
    sub32(r2, r1),
    store('u32', r9, Pocket.firstReceived, r2),
    access.keepConnection(r9, Pocket.connection),
    call('ktime_get_ns'),
    note('it may be about to have a name that was told of already', sub(r0, renaming)),
    store('u64', r9, Pocket.named, r0),
    load(r1, 'u32', flow, Value.pid),
    note('last, for no lock keeps out who empties pockets', xchg('u32', r9, Value.pid, r1)),
    label('pocketed'),
  ]
}

/** After `find`: `flow` has all that was counted, and a pocket is nobody's. Clobbers r0 to r5. */
export function settle({ access, pocket }: Context, name: string): Code {
  const settled = `${name}_settled`
  return !pocket ? [] : [
    note('what is in a pocket', access.kept(false)),
    jeq(r0, 0, settled),
    load(r1, 'u32', r0, Value.pid),
    jeq32(r1, nobody, settled),
    store('u32', r0, Value.pid, nobody),
    [Value.txSeen, Value.rxSeen].map(offset => [load(r1, 'u64', r0, offset), store('u64', flow, offset, r1)]),
    empty(r0),
    label(settled),
  ]
}

/** Every pocket (`iter/bpf_sk_storage_map`, `iter/bpf_map_elem`), without locks: what is in it goes to its flow. */
export function emptied({ access }: Context): Code {
  return [
    access.eachKept('exit'),
    load(r1, 'u32', task, Value.pid),
    jeq32(r1, nobody, 'exit'),
    load(r1, 'u64', task, Pocket.tx),
    load(r2, 'u64', task, Pocket.rx),
    or(r1, r2),
    jeq(r1, 0, 'exit'),
    access.find(),
    jeq(r0, 0, 'exit'),
    empty(task),
    label('exit'),
    leave(),
  ]
}

/** Whoever takes something out of a pocket is the only one to add it to `flow`. */
function empty(pocket: Register): Code {
  return ([[Pocket.tx, Value.tx], [Pocket.rx, Value.rx]] as const).map(([from, to]) => [
    mov(r1, 0),
    xchg('u64', pocket, from, r1),
    atomicAdd('u64', flow, to, r1),
  ])
}

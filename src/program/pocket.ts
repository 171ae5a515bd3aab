import {
  add, and, atomicAdd, call, cmpxchg, type Code, ja, jeq, jeq32, jge, jlt, jne, jne32, jsle32, jslt32, label, load, loadMapValue, lsh, mov, mul, mul32, note, or,
  r0, r1, r2, r3, r6, r9, r10, type Register, rsh32, store, sub, sub32, xchg,
} from '../../bpf-asm/index.js'
import { Key, Value } from '../layout.js'
import { lookup } from './access.js'
import { both, leave, lose, type Moved, nobody } from './charge.js'
import { amount, type Context, flow, mapName, socket, stack, state } from './context.js'
import { consumed, urgentRead } from './counter.js'
import { admit } from './filter.js'

/**
 * A pocket is where a process that has a socket to itself counts what it moves, so that no map has to be searched. A socket has no choice which
 * one it may have: none while another has that, which may be for ever if that one's end was missed. Whoever uses it holds the socket's lock, but
 * who empties it. It is settled, and is nobody's, before anything else is done with the socket's entry, but for what is charged by what a call
 * returned, without the lock; and what is in it goes to the entry before each walk over the flows.
 */
export const Pocket = {
  /** u32: `copied_seq` less all that was ever consumed, the same as long as no FIN has been received. */
  firstReceived: 0,
  /** As in the flow, and at the same places. */
  isn: Value.isn,
  txSeen: Value.txSeen,
  rxSeen: Value.rxSeen,
  /** u64 of `identity`: the socket's whose it is, zero when it is free, or `over`. */
  identity: 8,
  /** u32: the process that counts here, or nobody. */
  pid: 16,
  /** u64: what the entry of the flow does not have yet. */
  tx: 40,
  rx: 48,
  /**
   * u64: whoever was renamed since this time, in nanoseconds, may have another name in the flow. Not seen: a child that got the id of a process
   * that is gone and has its parent's name.
   */
  named: 56,
  /** u64 of `keepConnection` */
  connection: 64,
  /** The flow's. It stays until the pocket is free, which only those who empty it make it: what they take out is of this flow. */
  key: 72,
  size: 72 + Key.size,
} as const

/** The identity of a socket that has no use for its pocket any more: neither a cookie, which are small or nearly 2^64, nor an address of one. */
const over = -0x8000_0000

/** There are 2^15, and so many are emptied at once: a loop that a verifier runs through. */
const bits = 15
const pockets = 2 ** bits
const pageful = 64
/** 2^32 over the golden ratio, as a signed immediate: the upper bits of what it multiplies differ, also of numbers in a row. */
const golden = 0x9e3779b1 | 0

/** `mapName.pockets` has all in one value, for then a program knows their address. */
export const pocketsSize = Pocket.size * pockets
/** Entries of `mapName.pages`. */
export const pages = pockets / pageful

/** `mapName.renames` has, by the last bits of their ids, when processes were renamed last. */
const processes = 1024
export const renamesSize = 8 * processes
/** Nanoseconds in which a task has the name that `task_rename` tells of, and more. */
const renaming = 10_000_000

/** `dst =` where `mapName.renames` has the process in `pid`. Clobbers `pid`. */
function renameOf(dst: Register, pid: Register): Code {
  return [and(pid, processes - 1), lsh(pid, 3), loadMapValue(dst, mapName.renames, 0), add(dst, pid)]
}

/** Pockets of the process whose id is on the stack at `pid` have another name from now on. Clobbers r0 to r5. */
export function noteRename(pid: number): Code {
  return [call('ktime_get_ns'), load(r2, 'u32', r10, pid), renameOf(r1, r2), store('u64', r1, 0, r0)]
}

/**
 * Ends the program when `socket` has a pocket and the current process is whose it is: what `take` finds is counted there. For `take`, `flow` is the
 * pocket; it goes to `unpocketed` in all but the simplest case.
 */
export function countInPocket(context: Context, take: Code, moved: Moved): Code {
  const { access, filter, pocket } = context
  return !pocket ? [] : [
    pocketOf(context, flow, 'unpocketed'),
    access.currentTgid(r1),
    load(r2, 'u32', flow, Pocket.pid),
    note('is it ours', jne(r2, r1, 'unpocketed')),
    note('and has the name that it had', renameOf(r1, r2)),
    load(r1, 'u64', r1, 0),
    load(r2, 'u64', flow, Pocket.named),
    jge(r1, r2, 'unpocketed'),
    // A process that was wanted by its id still is; it may have left its cgroup or namespace.
    filter.mntnsIds ? access.current() : [],
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
    store('u64', flow, Pocket.txSeen, r2),
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
    advance(context, Pocket.rxSeen, amount, r2),
  ]
}

/**
 * `amount =` what was queued since, and on the stack what was consumed, while the connection is the same and no FIN was sent or has arrived;
 * goes to `none` when it is nothing, and reads as little as it can before that.
 */
export function movedFromPocket(context: Context, none: string): Code {
  const { access, field } = context
  return [
    access.refresh([field.copiedSeq, field.writeSeq]),
    consumedSince(context, r1, r2),
    queuedSince(context, amount, r3),
    mov(r0, r1),
    or(r0, amount),
    jne(r0, 0, 'pocket_moved'),
    note('or an urgent byte, which may be read ahead of the stream', access.refresh([field.urgData])),
    access.read(r1, field.urgData, socket),
    jeq(r1, urgentRead, 'unpocketed'),
    ja(none),
    label('pocket_moved'),
    jslt32(r1, 0, 'unpocketed'),
    jslt32(amount, 0, 'unpocketed'),
    store('u64', r10, stack.received, r1),
    access.unlessSame(flow, Pocket.connection, 'unpocketed'),
    load(r1, 'u64', r10, stack.received),
    ([[Pocket.txSeen, amount], [Pocket.rxSeen, r1]] as const).map(([offset, more]) => [
      load(r2, 'u64', flow, offset),
      advance(context, offset, more, r2),
    ]),
    context.audited ? store('u64', r10, stack.received, r1) : [],
  ]
}

/**
 * Counts `more` bytes as seen, besides `seen`, which is lost. What the audit charged in between is taken off `more`: whoever takes the old
 * count out of the pocket charges the difference, so that no byte is charged twice.
 */
function advance({ audited }: Context, offset: number, more: Register, seen: Register): Code {
  return [
    add(seen, more),
    audited ? [
      mov(more, seen),
      xchg('u64', flow, offset, seen),
      note('all of it, unless the audit was faster', sub(more, seen)),
    ] : store('u64', flow, offset, seen),
  ]
}

/** `dst =` the pocket of `socket`, `r1 =` its identity; goes to `none` when it has none. Clobbers r2. */
function pocketOf(context: Context, dst: Register, none: string): Code {
  return [placeOf(context, dst, none), load(r2, 'u64', dst, Pocket.identity), jne(r2, r1, none)]
}

/** `dst =` the pocket that `socket` may have, `r1 =` its identity; goes to `none` when it may have none. Clobbers r2. */
function placeOf({ access }: Context, dst: Register, none: string): Code {
  return [
    note('the socket’s pocket', access.identity(none)),
    placeAt(dst),
  ]
}

/** `dst =` the pocket that a socket may have, of which r2 has the bits of its identity. Clobbers r2. */
function placeAt(dst: Register): Code {
  return [
    mul32(r2, golden),
    rsh32(r2, 32 - bits),
    mul(r2, Pocket.size),
    loadMapValue(dst, mapName.pockets, 0),
    add(dst, r2),
  ]
}

/** `dst =` the lower half of what was queued since, `seen = txSeen`. */
function queuedSince({ access, field }: Context, dst: Register, seen: Register): Code {
  return since(access.read(dst, field.writeSeq, socket), Pocket.isn, Pocket.txSeen, dst, seen)
}

/** `dst =` the lower half of what was consumed since, `seen = rxSeen`. */
function consumedSince({ access, field }: Context, dst: Register, seen: Register): Code {
  return since(access.read(dst, field.copiedSeq, socket), Pocket.firstReceived, Pocket.rxSeen, dst, seen)
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
    note('one byte more was received than tells the stream', access.read(r1, field.urgData, socket)),
    jeq(r1, urgentRead, 'pocketed'),
    placeOf(context, r9, 'pocketed'),
    mov(r0, 0),
    cmpxchg('u64', r9, Pocket.identity, r1),
    note('its own: settled, and so of this flow', jeq(r0, r1, 'pocket_known')),
    jne(r0, 0, 'pocketed'),
    keyWords.map(word => [load(r1, 'u64', r10, stack.key + word), store('u64', r9, Pocket.key + word, r1)]),
    label('pocket_known'),
    load(r1, 'u32', flow, Value.isn),
    store('u32', r9, Pocket.isn, r1),
    seen.map(offset => [load(r1, 'u64', flow, offset), store('u64', r9, offset, r1)]),
    consumed(context, 'pocket_rx'),
    sub32(r2, r1),
    store('u32', r9, Pocket.firstReceived, r2),
    access.keepConnection(r9, Pocket.connection),
    call('ktime_get_ns'),
    note('it may be about to have a name that was told of already', sub(r0, renaming)),
    store('u64', r9, Pocket.named, r0),
    load(r1, 'u32', flow, Value.pid),
    note('a barrier: who empties it sees the key before any bytes', xchg('u32', r9, Pocket.pid, r1)),
    label('pocketed'),
  ]
}

/** What was seen, once it is out of the pocket: the audit finds its count there no more. */
const takenOut = -1
/** What a pocket has in common with its flow. */
const seen = [Pocket.txSeen, Pocket.rxSeen] as const
/** Where in a key there are words. */
const keyWords = [0, 8] as const

/** After `find`: `flow` has all that was counted, and a pocket is nobody's. One of the socket's last connection is over. Clobbers r0 to r5. */
export function settle(context: Context, name: string): Code {
  const to = (part: string) => `${name}_${part}`
  return !context.pocket ? [] : [
    pocketOf(context, r0, to('settled')),
    keyWords.map(word => [load(r1, 'u64', r0, Pocket.key + word), load(r2, 'u64', r10, stack.key + word), jne(r1, r2, to('over'))]),
    load(r1, 'u32', r0, Pocket.pid),
    jeq32(r1, nobody, to('settled')),
    seen.map(offset => [
      context.audited ? [mov(r1, takenOut), xchg('u64', r0, offset, r1)] : load(r1, 'u64', r0, offset),
      store('u64', flow, offset, r1),
    ]),
    note('whoever takes it out of the pocket is the only one to add it', ([[Pocket.tx, Value.tx], [Pocket.rx, Value.rx]] as const).map(([from, to]) => [
      mov(r1, 0),
      xchg('u64', r0, from, r1),
      atomicAdd('u64', flow, to, r1),
    ])),
    note('last, for the audit goes by the pocket until the flow has all: the end of a connection comes without an owner of the lock', store('u32', r0, Pocket.pid, nobody)),
    ja(to('settled')),
    label(to('over')),
    store('u64', r0, Pocket.identity, over),
    label(to('settled')),
  ]
}

/** After `settle`, or where there is no flow: `socket` has no use for its pocket any more. Clobbers r0 to r2. */
export function endPocket(context: Context, name: string): Code {
  const ended = `${name}_pocket_ended`
  return !context.pocket ? [] : [pocketOf(context, r0, ended), store('u64', r0, Pocket.identity, over), label(ended)]
}

/**
 * For the audit of `flow`, whose key is on the stack: it has in `flow` what was seen of `socket` last, the pocket where that is in use. Clobbers
 * r1 and r2.
 */
export function latest(context: Context, name: string): Code {
  const to = (part: string) => `${name}_${part}`
  return !context.pocket ? [] : [
    pocketOf(context, r1, to('latest')),
    load(r2, 'u32', r1, Pocket.pid),
    jeq32(r2, nobody, to('latest')),
    mov(flow, r1),
    label(to('latest')),
  ]
}

/**
 * Keeps `socket` from having a pocket until the next flush, so that what was seen of it stays in its flow; goes to `busy` where it has one now.
 * Clobbers r0 to r3.
 */
export function withoutPocket(context: Context, name: string, busy: string): Code {
  const to = (part: string) => `${name}_${part}`
  return !context.pocket ? [] : [
    placeOf(context, r3, busy),
    load(r0, 'u64', r3, Pocket.identity),
    note('free', jeq(r0, 0, to('claim'))),
    note('another’s', jne(r0, r1, to('without'))),
    load(r2, 'u32', r3, Pocket.pid),
    jne32(r2, nobody, busy),
    label(to('claim')),
    mov(r1, over),
    mov(r2, r0),
    cmpxchg('u64', r3, Pocket.identity, r1),
    jne(r0, r2, busy),
    label(to('without')),
  ]
}

/**
 * Every page of pockets (`iter/bpf_map_elem`, `struct bpf_iter__bpf_map_elem` of kernel/bpf/map_iter.c, since 5.8), without locks: what is in a
 * pocket goes to its flow, and one that is over is free.
 */
export function emptied(): Code {
  const [pocket, number] = [r6, r9]
  return [
    load(r2, 'u64', r1, 16),
    jeq(r2, 0, 'exit'),
    note('the key: the page', load(r1, 'u32', r2, 0)),
    and(r1, pages - 1),
    mul(r1, pageful * Pocket.size),
    loadMapValue(pocket, mapName.pockets, 0),
    add(pocket, r1),
    mov(number, 0),
    label('pocket'),
    load(r1, 'u64', pocket, Pocket.identity),
    jeq(r1, 0, 'next'),
    load(r2, 'u64', pocket, Pocket.tx),
    load(r3, 'u64', pocket, Pocket.rx),
    or(r2, r3),
    jne(r2, 0, 'full'),
    jne(r1, over, 'next'),
    store('u64', pocket, Pocket.identity, 0),
    ja('next'),
    label('full'),
    mov(amount, 0),
    xchg('u64', pocket, Pocket.tx, amount),
    mov(r1, 0),
    xchg('u64', pocket, Pocket.rx, r1),
    store('u64', r10, stack.received, r1),
    keyWords.map(word => [load(r1, 'u64', pocket, Pocket.key + word), store('u64', r10, stack.key + word, r1)]),
    note('a flow stays as long as its socket', lookup(mapName.flows, stack.key)),
    jeq(r0, 0, 'lose'),
    both(r0, Value.tx, Value.rx),
    label('next'),
    add(pocket, Pocket.size),
    add(number, 1),
    jlt(number, pageful, 'pocket'),
    label('exit'),
    leave(),
    label('lose'),
    lose(both),
    ja('next'),
  ]
}

import {
  add, and, block, call, type Code, copy, type Field as Word, fieldAt, is, ja, load, loadMapValue, lookup, loop, lsh, mov, mul, mul32, note,
  or, part, type Place, type Pointer, r0, r1, r2, r3, r6, r8, r9, rarely, type Register, rsh32, sub, sub32, unless, when,
} from '../../bpf-asm/index.js'
import { admit } from './admit.js'
import type { Context } from './context.js'
import { consumed } from './counter.js'
import { nobody } from './entry.js'
import { amount, flow, Flow, mapName, program, Slot, socket, stack } from './frame.js'
import { state, urgentRead } from './kernel.js'
import { both, lose } from './moved.js'

/**
 * A slot is where a process that has a socket to itself counts, so that no map has to be searched. A hash of the socket's identity picks the one slot
 * it may use. On a collision the socket goes without a slot, permanently if the occupant's close was missed.
 *
 * A program that uses a slot holds the socket's lock, except the flush. The slot is written back to the flow, and has no owner, before anything else is done
 * with the flow, except by programs at the return of a call, which do not hold the lock. A flush empties all slots into the flows before each drain.
 */

/** The identity of a slot whose socket is finished with it: neither a cookie, which are small or nearly 2^64, nor the address of a socket. */
const over = -0x8000_0000

/** There are 2^15 slots. The flush empties a page of them per run, a loop that the verifier can follow to its end. */
const slotBits = 15
const slots = 2 ** slotBits
const pageful = 64
/** 2^32 over the golden ratio, as a signed immediate: spreads consecutive numbers over the upper bits of the product. */
const golden = 0x9e3779b1 | 0

/** Bytes of the one value of `mapName.slots`: programs know the address of a value, not of an element. */
export const slotsSize = Slot.size * slots
/** Entries of `mapName.pages`. */
export const pages = slots / pageful

/** `mapName.renames` has, by the lowest bits of their ids, when processes were renamed last. */
const processes = 1024
/** Bytes of the one value of `mapName.renames`. */
export const renamesSize = 8 * processes
/** Nanoseconds until a task has the name that `task_rename` announces, and more. */
const renaming = 10_000_000

/** The slot at hand, in the place of `flow`. */
export const slot = Slot.in(r8)
type SlotAt = Pointer<typeof Slot.fields>

/** `dst =` the address of when the process in `pid` was renamed. Clobbers `pid`. */
function renameOf(dst: Register, pid: Register): Code {
  return [and(pid, processes - 1), lsh(pid, 3), loadMapValue(dst, mapName.renames, 0), add(dst, pid)]
}

/** Slots of the process with this id have another name from now on. Clobbers r0 to r5. */
export function noteRename(pid: Word): Code {
  return [call('ktime_get_ns'), pid.load(r2), renameOf(r1, r2), fieldAt(r1, 0, 'u64').store(r0)]
}

/** Where there are slots, a way of counting in one: `body` ends the program, or leaves for `without`. */
export function countInSlot({ slots }: Context, body: (without: Place) => Code): Code {
  return slots ? block('unslotted', body) : []
}

/** Makes `slot` the slot of `socket`; leaves for `without` unless the current process counts there under a name that is up to date. */
export function findSlot(context: Context, without: Place): Code {
  const { access, filter } = context
  return [
    slotOf(context, slot, without),
    access.currentTgid(r1),
    slot.pid.load(r2),
    note('is it ours', is.ne(r2, r1).jump(without)),
    note('was the process renamed since', renameOf(r1, r2)),
    load(r1, 'u64', r1, 0),
    slot.named.load(r2),
    is.ge(r1, r2).jump(without),
    // A process that was wanted by its id still is; it may have left its cgroup or namespace.
    filter.mntnsIds ? access.current() : [],
    admit({ ...context, filter: { ...filter, pids: [] } }, without),
  ]
}

/**
 * Counts `amount` in `slot` as queued; leaves for `without` unless exactly that was queued since. The lower halves decide, because no call queues as
 * much as they hold. `write_seq` alone is enough: with a FIN it would be one more.
 */
export function queuedInSlot(context: Context, without: Place): Code {
  return [
    queuedSince(context, r1, r2),
    is.ne(r1, amount).jump(without),
    add(r2, amount),
    slot.txSeen.store(r2),
  ]
}

/** `amount =` what the process itself consumed since, while no FIN has arrived; leaves for `none` without any. */
export function consumedInSlot(context: Context, without: Place, none: Place): Code {
  const { access, field } = context
  return [
    access.read(r1, field.owned, socket),
    note('without an owner the lock is the kernel’s', is.eq(r1, 0).jump(without)),
    access.unlessSame(slot.connection, without),
    consumedSince(context, amount, r2),
    is.sle32(amount, 0).jump(none),
    advance(context, slot.rxSeen, amount, r2),
  ]
}

/**
 * `amount =` what was queued since, `stack.received =` what was consumed, while the connection is the same and no FIN was sent or has arrived. Leaves
 * for `none` when both are zero, and reads as little as it can before that.
 */
export function movedInSlot(context: Context, without: Place, none: Place): Code {
  const { access, field } = context
  return [
    access.refresh([field.copiedSeq, field.writeSeq]),
    consumedSince(context, r1, r2),
    queuedSince(context, amount, r3),
    mov(r0, r1),
    or(r0, amount),
    when(is.eq(r0, 0), [
      note('or an urgent byte, which may be read ahead of the stream', access.refresh([field.urgData])),
      access.read(r1, field.urgData, socket),
      is.eq(r1, urgentRead).jump(without),
      ja(none),
    ]),
    is.slt32(r1, 0).jump(without),
    is.slt32(amount, 0).jump(without),
    stack.received.store(r1),
    access.unlessSame(slot.connection, without),
    stack.received.load(r1),
    ([[slot.txSeen, amount], [slot.rxSeen, r1]] as const).map(([seen, more]) => [
      seen.load(r2),
      advance(context, seen, more, r2),
    ]),
    context.audited ? stack.received.store(r1) : [],
  ]
}

/**
 * Advances a counter of bytes seen by `more`; `before`, its value, is lost. What the audit charged in between is taken off `more`: the
 * one that takes the old count out of the slot charges the difference, so no byte is charged twice.
 */
function advance({ audited }: Context, seen: Word, more: Register, before: Register): Code {
  return [
    add(before, more),
    audited ? [
      mov(more, before),
      seen.exchange(before),
      note('all of it, unless the audit was faster', sub(more, before)),
    ] : seen.store(before),
  ]
}

/** `dst =` the slot of `socket`, `r1 =` its identity; leaves for `none` when it has none. Clobbers r2. */
function slotOf(context: Context, dst: SlotAt, none: Place): Code {
  return [possibleSlot(context, dst, none), dst.identity.load(r2), is.ne(r2, r1).jump(none)]
}

/** `dst =` the slot that `socket` may use, `r1 =` its identity; leaves for `none` when it may use none. Clobbers r2. */
function possibleSlot({ access }: Context, dst: Register, none: Place): Code {
  return [
    note('the socket’s slot', access.identity(none)),
    mul32(r2, golden),
    rsh32(r2, 32 - slotBits),
    mul(r2, Slot.size),
    loadMapValue(dst, mapName.slots, 0),
    add(dst, r2),
  ]
}

/** `dst =` the lower half of what was queued since, `seen = txSeen`. */
function queuedSince({ access, field }: Context, dst: Register, seen: Register): Code {
  return since(access.read(dst, field.writeSeq, socket), slot.isn, slot.txSeen, dst, seen)
}

/** `dst =` the lower half of what was consumed since, `seen = rxSeen`. */
function consumedSince({ access, field }: Context, dst: Register, seen: Register): Code {
  return since(access.read(dst, field.copiedSeq, socket), slot.firstReceived, slot.rxSeen, dst, seen)
}

function since(now: Code, first: Word, counted: Word, dst: Register, seen: Register): Code {
  return [now, first.load(seen), sub32(dst, seen), counted.load(seen), sub32(dst, seen)]
}

/**
 * Gives `socket` a slot for the process that owns `flow`, if that is the socket's own flow and r1, who used the socket before this, is the owner too.
 * r9 is lost. Clobbers r0 to r5.
 */
export function makeSlot(context: Context): Code {
  const { access, field } = context
  const made = Slot.in(r9)
  return block('slotted', done => [
    flow.pid.load(r2),
    is.ne(r2, r1).jump(done),
    note('a share has none', stack.key.pid.load(r1)),
    is.ne(r1, 0).jump(done),
    flow.flags.load(r1),
    is.ne(r1, 0).jump(done),
    access.read(r1, field.state, socket),
    is.ne(r1, state.established).jump(done),
    note('one byte more was received than the stream says', access.read(r1, field.urgData, socket)),
    is.eq(r1, urgentRead).jump(done),
    possibleSlot(context, made, done),
    mov(r0, 0),
    note('unless it is its own already: written back, so of this flow', made.identity.compareExchange(r1)),
    unless(is.eq(r0, r1), [
      is.ne(r0, 0).jump(done),
      copy(made.key, stack.key, r1),
    ]),
    flow.isn.load(r1),
    made.isn.store(r1),
    seen.map(name => [flow[name].load(r1), made[name].store(r1)]),
    consumed(context),
    sub32(r2, r1),
    made.firstReceived.store(r2),
    access.keepConnection(made.connection),
    call('ktime_get_ns'),
    note('it may be about to get a name that was announced already', sub(r0, renaming)),
    made.named.store(r0),
    flow.pid.load(r1),
    note('a barrier: a flush sees the key before any bytes', made.pid.exchange(r1)),
  ])
}

/** What was seen, once it is out of the slot: the audit no longer finds its count there. */
const takenOut = -1
/** The counters of a flow that are ahead in its slot. */
const seen = ['txSeen', 'rxSeen'] as const

/** After `find`: makes `flow` have all that was counted, and its slot have no owner. A slot of the socket's last connection is marked `over`. Clobbers r0 to r5. */
export function writeBack(context: Context): Code {
  if (!context.slots) return []
  const from = Slot.in(r0)
  const keyWords = [0, 8] as const
  return block('written', written => [
    slotOf(context, from, written),
    block('over', over => [
      keyWords.map(word => [part(from.key, word, 'u64').load(r1), part(stack.key, word, 'u64').load(r2), is.ne(r1, r2).jump(over)]),
      from.pid.load(r1),
      is.eq32(r1, nobody).jump(written),
      seen.map(name => [
        context.audited ? [mov(r1, takenOut), from[name].exchange(r1)] : from[name].load(r1),
        flow[name].store(r1),
      ]),
      note('exchanged, so nobody else adds it too', (['tx', 'rx'] as const).map(name => [
        mov(r1, 0),
        from[name].exchange(r1),
        flow[name].add(r1),
      ])),
      note('last: until the flow has all, the audit goes by the slot, because a connection ends without an owner of the lock', from.pid.store(nobody)),
      ja(written),
    ]),
    from.identity.store(over),
  ])
}

/** After `writeBack`, or where there is no flow: `socket` is finished with its slot. Clobbers r0 to r2. */
export function endSlot(context: Context): Code {
  const its = Slot.in(r0)
  return context.slots ? block('slot ended', ended => [slotOf(context, its, ended), its.identity.store(over)]) : []
}

/**
 * For the audit of `flow`, whose key is on the stack: makes `flow` the slot, where that is in use, because it has what was seen of `socket` last.
 * Clobbers r1 and r2.
 */
export function latest(context: Context): Code {
  const its = Slot.in(r1)
  return context.slots ? block('latest', latest => [
    slotOf(context, its, latest),
    its.pid.load(r2),
    is.eq32(r2, nobody).jump(latest),
    mov(flow, its),
  ]) : []
}

/**
 * Keeps `socket` from having a slot until the next flush, so that what was seen of it stays in its flow; leaves for `busy` where it has one now.
 * Clobbers r0 to r3.
 */
export function withoutSlot(context: Context, busy: Place): Code {
  const its = Slot.in(r3)
  return block('without slot', without => [
    possibleSlot(context, its, busy),
    note('is it free', its.identity.load(r0)),
    unless(is.eq(r0, 0), [
      note('another socket’s', is.ne(r0, r1).jump(without)),
      its.pid.load(r2),
      is.ne32(r2, nobody).jump(busy),
    ]),
    mov(r1, over),
    mov(r2, r0),
    its.identity.compareExchange(r1),
    is.ne(r0, r2).jump(busy),
  ])
}

/**
 * The flush of one page of slots (`iter/bpf_map_elem`, `struct bpf_iter__bpf_map_elem` of kernel/bpf/map_iter.c, since 5.8), without locks: moves what
 * is in a slot to its flow, and frees one that is `over`.
 */
export function flushed(): Code {
  const [its, number] = [Slot.in(r6), r9]
  return program(exit => [
    load(r2, 'u64', r1, 16),
    is.eq(r2, 0).jump(exit),
    note('the key: the page', load(r1, 'u32', r2, 0)),
    and(r1, pages - 1),
    mul(r1, pageful * Slot.size),
    loadMapValue(its, mapName.slots, 0),
    add(its, r1),
    mov(number, 0),
    loop('slot', again => [
      block('next', next => [
        its.identity.load(r1),
        is.eq(r1, 0).jump(next),
        its.tx.load(r2),
        its.rx.load(r3),
        or(r2, r3),
        when(is.eq(r2, 0), [is.ne(r1, over).jump(next), its.identity.store(0), ja(next)]),
        mov(amount, 0),
        its.tx.exchange(amount),
        mov(r1, 0),
        its.rx.exchange(r1),
        stack.received.store(r1),
        copy(stack.key, its.key, r1),
        note('a flow stays while its socket exists', lookup(mapName.flows, stack.key)),
        rarely('lost', is.eq(r0, 0), [lose(both), ja(next)]),
        both(Flow.in(r0)),
      ]),
      add(its, Slot.size),
      add(number, 1),
      is.lt(number, pageful).jump(again),
    ]),
  ])
}

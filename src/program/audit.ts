import {
  add, block, type Code, copy, fieldAt, is, ja, load, lookup, mov, note, type Place, r0, r1, r2, r3, r9, remove, sub, unless, update, when,
} from '../../bpf-asm/index.js'
import { maskOf } from './access.js'
import { chargeLast } from './charge.js'
import type { Context } from './context.js'
import { consumed, consumedUrgent, finSent, firstSequence, queued } from './counter.js'
import { nobody, unknownEnd } from './entry.js'
import { present } from './field.js'
import { choosesProcesses } from './filter.js'
import { amount, Flow, flow, FlowKey, mapName, program, socket, stack } from './frame.js'
import { isIn, state } from './kernel.js'
import { count, lose, type Moved, rx, tx } from './moved.js'
import { ifRedirected } from './result.js'
import { latest, withoutSlot } from './slot.js'

/** The flow of the socket that is audited; `flow` is that, or its slot. */
const own = Flow.in(r9)

/**
 * The audit: what the socket counted and no program saw is charged to the process that used the socket last. Programs miss bytes where a call
 * was in the kernel already when they were attached, because it returns the way it came; where another tracer attaches to the same function
 * meanwhile, for the same reason (bpf_tramp_image_put); and where the kernel skips a program that runs on that CPU already.
 *
 * It takes no lock: one moment at which no process is at work on the socket is enough, because every program runs before its caller releases
 * it. Everything is read twice and must be the same, with the lock free at the end. What was seen of the socket changes by compare-and-exchange, here
 * and wherever else it may change meanwhile; if a program was faster, nothing is charged.
 *
 * Where sends are seen after the lock is released, bytes may wait for a program that is about to run: they are charged only if they
 * are the same at the next audit.
 */
export function audited(context: Context): Code {
  return audit(context, 'flows')
}

/** The same of the sockets in `mapName.unsettled` alone, each of which leaves that map when it is at rest. */
export function settled(context: Context): Code {
  return audit(context, 'unsettled')
}

type Over = 'flows' | 'unsettled'

function audit(context: Context, over: Over): Code {
  const { access: { atAddress, isOfKey }, calls, field } = context
  // Reads are repeated, so the order among them does not matter.
  const byAddress: Context = { ...context, access: { ...context.access, ...atAddress }, locked: true }
  const { read, refresh } = byAddress.access
  const { subflow } = field
  const key = FlowKey.in(r1)
  return program(exit => [
    block('stale', stale => [
      note('struct bpf_iter__bpf_map_elem: the key', load(key, 'u64', r1, 16)),
      is.eq(key, 0).jump(exit),
      copy(stack.key, key, r2),
      stack.key.pid.load(r1),
      note('a share', is.ne(r1, 0).jump(exit)),
      lookup(mapName.flows, stack.key),
      is.eq(r0, 0).jump(stale),
      mov(own, r0),
      own.flags.load(r1),
      is.ne(r1, 0).jump(stale),
      own.sk.load(socket),
      is.eq(socket, 0).jump(stale),
      refresh(),
      isOfKey(read, stale),
      read(r1, field.state, socket),
      note('counted when the connection is established', is.eq(r1, state.synSent).jump(exit)),
      calls && subflow !== undefined ? [read(r1, subflow, socket), is.set(r1, maskOf(subflow)).jump(stale)] : [],
      ifRedirected(byAddress, socket, stale),
      catchUp(byAddress, exit, { seen: 'txSeen', moved: tx, over, waits: !context.locked, total: () => sentTwice(byAddress, exit) }),
      catchUp(byAddress, exit, { seen: 'rxSeen', moved: rx, over, waits: false, total: settled => receivedTwice(byAddress, settled, exit) }),
    ]),
    over === 'flows' ? [] : [
      remove(mapName.unsettled, stack.key),
      is.ne(r0, 0).jump(exit),
      count('unsettled', -1),
    ],
  ])
}

/** One direction of a socket. */
interface Direction {
  /** What programs know of it. */
  readonly seen: 'txSeen' | 'rxSeen'
  readonly moved: Moved
  readonly over: Over
  /** Whether bytes must be the same at the next audit. */
  readonly waits: boolean
  /** Leaves in r1 and `amount` what the socket counted. */
  readonly total: (settled: Place) => Code
}

/** Charges what the socket counted beyond what was seen; leaves for `exit` when it is not at rest. */
function catchUp(context: Context, exit: Place, direction: Direction): Code {
  const { access: { isOfKey, read }, field } = context
  const { seen, over, waits, total } = direction
  return block('settled', settled => [
    mov(flow, own),
    latest(context),
    flow[seen].load(r1),
    note('just being taken out of its slot', is.eq(r1, -1).jump(exit)),
    stack.received.store(r1),
    total(settled),
    read(r2, field.owned, socket),
    is.ne(r2, 0).jump(exit),
    read(r2, present(field, 'writePending'), socket),
    is.ne32(r2, 0).jump(exit),
    stack.received.load(r2),
    sub(amount, r2),
    is.sle(amount, 0).jump(settled),
    note('all of it was read of this socket: its address was not reused', isOfKey(read, exit)),
    waits ? untilNextTime(over, exit) : [],
    waits && over === 'flows' ? [] : take(context, settled, exit, direction),
  ])
}

/** Charges `amount`, unless a program was faster than the audit. */
function take(context: Context, settled: Place, exit: Place, { seen, moved }: Direction): Code {
  return [
    context.slots ? when(is.eq(flow, own), withoutSlot(context, exit)) : [],
    stack.received.load(r0),
    mov(r1, r0),
    mov(r2, r0),
    add(r1, amount),
    flow[seen].compareExchange(r1),
    note('a program was faster', is.ne(r0, r2).jump(exit)),
    mov(flow, own),
    choosesProcesses(context.filter) ? [] : [
      flow.last.load(r1),
      when(is.eq32(r1, nobody), [lose(moved), ja(settled)]),
    ],
    chargeLast(context, moved),
    stack.key.pid.store(0),
  ]
}

/** Goes on if the total, `amount` more than `stack.received`, was the same at the last audit; otherwise keeps it for the next one. */
function untilNextTime(over: Over, exit: Place): Code {
  const total = [stack.received.load(r1), add(r1, amount)]
  const before = fieldAt(r0, 0, 'u64')
  if (over === 'flows') return [total, stack.scratch.word.store(r1), unsettle(exit), ja(exit)]
  return [
    lookup(mapName.unsettled, stack.key),
    is.eq(r0, 0).jump(exit),
    total,
    before.load(r2),
    before.store(r1),
    is.ne(r1, r2).jump(exit),
  ]
}

/** Notes the flow whose key is on the stack as unsettled, with the value in `stack.scratch`; leaves for `exit` if it is already. Clobbers r0 to r5. */
function unsettle(exit: Place): Code {
  return [
    update(mapName.unsettled, stack.key, stack.scratch.word, 'noexist'),
    is.ne(r0, 0).jump(exit),
    count('unsettled'),
  ]
}

/**
 * For a socket whose flow was just made or found, and whose key is on the stack: notes it as unsettled where a call may be under way, because programs
 * do not see the return of one that was in the kernel before they were attached.
 */
export function unsettledIfBusy({ access, field, audited }: Context, exit: Place): Code {
  return !audited ? [] : [
    unless(is.ne(r1, 0).after(access.read(r1, field.owned, socket)), [
      access.read(r1, present(field, 'writePending'), socket),
      is.eq32(r1, 0).jump(exit),
    ]),
    stack.scratch.word.store(0),
    unsettle(exit),
  ]
}

/** `r1 = amount =` what was queued without a FIN; leaves for `exit` when it changes meanwhile or is not known. */
function sentTwice(context: Context, exit: Place): Code {
  return [
    context.access.refresh(),
    twice(context, exit, () => queued(context, { racing: true })),
    when(isIn(finSent, r3, r2), note('less the FIN that was sent', sub(amount, 1))),
    when(is.ne(r3, state.close), unlessSameConnection(context, exit), [
      note('not connected: what was queued when it was', own.txEnd.load(amount)),
      is.eq(amount, unknownEnd).jump(exit),
    ]),
  ]
}

/** Leaves for `otherwise` unless `socket` has the connection of the flow: programs may have missed that it connected again. */
function unlessSameConnection(context: Context, otherwise: Place): Code {
  return [firstSequence(context, { racing: false }), own.isn.load(r2), is.ne32(r1, r2).jump(otherwise)]
}

/** `amount =` what was consumed; leaves for `exit` when it changes meanwhile, for `settled` when it is of another connection. */
function receivedTwice(context: Context, settled: Place, exit: Place): Code {
  return [
    twice(context, exit, () => [consumed(context, { racing: true }), context.calls ? [] : consumedUrgent(context)]),
    unlessSameConnection(context, settled),
  ]
}

/** `r1 = amount =` what `read` leaves in r1 twice; otherwise leaves for `exit`. */
function twice({ access }: Context, exit: Place, read: () => Code): Code {
  return [read(), mov(amount, r1), barrier(), access.refresh(), read(), is.ne(r1, amount).jump(exit)]
}

/** What comes later is read later: an atomic operation that fetches is a full barrier (Documentation/bpf/linux-notes.rst). */
function barrier(): Code {
  return [mov(r1, 0), stack.scratch.word.store(0), stack.scratch.word.exchange(r1)]
}

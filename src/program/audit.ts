import {
  add, and, cmpxchg, type Code, ja, jeq, jeq32, jne, jne32, jset, jsle, label, load, lsh, mov, note, r0, r1, r10, r2, r3, r4,
  r9, store, sub, xchg,
} from '../../bpf-asm/index.js'
import { Key, Stat, Value } from '../layout.js'
import { lookup, remove, update } from './access.js'
import { chargeLast, leave, lose, type Moved, nobody, rx, tx } from './charge.js'
import { amount, type Context, flow, ifRedirected, mapName, maskOf, socket, stack, state } from './context.js'
import { consumed, consumedUrgent, finSent, firstSequence, queued, unknownEnd } from './counter.js'
import { present } from './field.js'
import { choosesProcesses } from './filter.js'
import { latest, withoutPocket } from './pocket.js'
import { count } from './stat.js'

/** The flow of the socket that is audited; `flow` is that, or its pocket. */
const own = r9

/**
 * The audit: what the socket counted and no program saw is charged to the process that used the socket last. Programs miss bytes where a call
 * was in the kernel already when they were attached, for it returns by the way it came; where another tracer attaches to the same function
 * meanwhile, for the same reason (bpf_tramp_image_put); and where the kernel skips a program that runs on that processor already.
 *
 * It takes no lock: one moment at which no process is at work on the socket is enough, for every program runs before its caller lets go of
 * it. Everything is read twice and must be the same, with the lock free at the end. What was seen of the socket is changed by
 * compare and exchange, here and wherever else it may change meanwhile; so if a program was faster, nothing is charged.
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

function audit(context: Context, over: 'flows' | 'unsettled'): Code {
  const { access: { atAddress, isOfKey }, calls, field } = context
  // Reads are repeated, which needs no order among them.
  const byAddress: Context = { ...context, access: { ...context.access, ...atAddress }, locked: true }
  const { read, refresh } = byAddress.access
  const { subflow } = field
  return [
    note('struct bpf_iter__bpf_map_elem: the key', load(r1, 'u64', r1, 16)),
    jeq(r1, 0, 'exit'),
    [0, 8].map(word => [load(r2, 'u64', r1, word), store('u64', r10, stack.key + word, r2)]),
    load(r1, 'u32', r10, stack.key + Key.pid),
    note('a share', jne(r1, 0, 'exit')),
    lookup(mapName.flows, stack.key),
    jeq(r0, 0, 'stale'),
    mov(own, r0),
    load(r1, 'u32', own, Value.flags),
    jne(r1, 0, 'stale'),
    load(socket, 'u64', own, Value.sk),
    jeq(socket, 0, 'stale'),
    refresh(),
    isOfKey(read, 'stale'),
    read(r1, field.state, socket),
    note('counted when the connection stands', jeq(r1, state.synSent, 'exit')),
    calls && subflow !== undefined ? [read(r1, subflow, socket), jset(r1, maskOf(subflow), 'stale')] : [],
    ifRedirected(byAddress, socket, 'stale'),
    catchUp(byAddress, over, context.locked, 'tx', { total: sentTwice(byAddress), seen: Value.txSeen, moved: tx }),
    catchUp(byAddress, over, context.locked, 'rx', { total: receivedTwice(byAddress), seen: Value.rxSeen, moved: rx }),
    label('stale'),
    over === 'flows' ? [] : [
      remove(mapName.unsettled, stack.key),
      jne(r0, 0, 'exit'),
      count(Stat.unsettled, -1),
    ],
    label('exit'),
    leave(),
  ]
}

/** One direction: `total` leaves in r1 and `amount` what the socket counted, `seen` is what programs know of it. */
function catchUp(
  context: Context, over: 'flows' | 'unsettled', locked: boolean, name: 'tx' | 'rx', { total, seen, moved }: { total: Code; seen: number; moved: Moved },
): Code {
  const { access: { isOfKey, read }, field } = context
  const to = (part: string) => `${name}_${part}`
  const waits = name === 'tx' && !locked
  return [
    mov(flow, own),
    latest(context, name),
    load(r1, 'u64', flow, seen),
    note('just being taken out of its pocket', jeq(r1, -1, 'exit')),
    store('u64', r10, stack.received, r1),
    total,
    read(r2, field.owned, socket),
    jne(r2, 0, 'exit'),
    read(r2, present(field, 'writePending'), socket),
    jne32(r2, 0, 'exit'),
    load(r2, 'u64', r10, stack.received),
    sub(amount, r2),
    jsle(amount, 0, to('settled')),
    note('all of it was read of this socket, for its address has not been used again', isOfKey(read, 'exit')),
    waits ? untilNextTime(over) : [],
    waits && over === 'flows' ? label(to('settled')) : take(context, name, seen, moved),
  ]
}

/** Charges `amount`, unless a program was faster than the audit. */
function take(context: Context, name: string, seen: number, moved: Moved): Code {
  const { filter } = context
  const to = (part: string) => `${name}_${part}`
  return [
    jne(flow, own, to('take')),
    withoutPocket(context, name, 'exit'),
    label(to('take')),
    load(r0, 'u64', r10, stack.received),
    mov(r1, r0),
    mov(r2, r0),
    add(r1, amount),
    cmpxchg('u64', flow, seen, r1),
    note('somebody was faster', jne(r0, r2, 'exit')),
    mov(flow, own),
    choosesProcesses(filter) ? [] : [
      load(r1, 'u32', flow, Value.last),
      jne32(r1, nobody, to('charge')),
      lose(moved),
      ja(to('settled')),
      label(to('charge')),
    ],
    chargeLast(context, moved, name),
    store('u32', r10, stack.key + Key.pid, 0),
    label(to('settled')),
  ]
}

/** Goes on if the total, `amount` more than what is on the stack, was the same at the last audit; otherwise notes it for the next one. */
function untilNextTime(over: 'flows' | 'unsettled'): Code {
  const total = [load(r1, 'u64', r10, stack.received), add(r1, amount)]
  if (over === 'flows') return [total, store('u64', r10, stack.filterKey, r1), unsettle(), ja('exit')]
  return [
    lookup(mapName.unsettled, stack.key),
    jeq(r0, 0, 'exit'),
    total,
    load(r2, 'u64', r0, 0),
    store('u64', r0, 0, r1),
    jne(r1, r2, 'exit'),
  ]
}

/** Notes the flow whose key is on the stack as unsettled, with the value that is in `stack.filterKey`. Clobbers r0 to r5. */
function unsettle(): Code {
  return [
    update(mapName.unsettled, stack.key, stack.filterKey, 'noExist'),
    jne(r0, 0, 'exit'),
    count(Stat.unsettled),
  ]
}

/**
 * For a socket of which the entry was just made or found, whose key is on the stack: notes it as unsettled where a call may be under way, for
 * programs do not see the return of one that was in the kernel before they were attached. Goes to `exit`.
 */
export function unsettledIfBusy({ access, field, audited }: Context): Code {
  return !audited ? [] : [
    access.read(r1, field.owned, socket),
    jne(r1, 0, 'busy'),
    access.read(r1, present(field, 'writePending'), socket),
    jeq32(r1, 0, 'exit'),
    label('busy'),
    store('u64', r10, stack.filterKey, 0),
    unsettle(),
  ]
}

/** `r1 = amount =` what was queued without a FIN; goes to `exit` when it changes meanwhile or is not known. */
function sentTwice(context: Context): Code {
  return [
    context.access.refresh(),
    twice(context, queued(context, { racing: true })),
    note('less the FIN that was sent', mov(r2, 1)),
    lsh(r2, r3),
    mov(r4, r2),
    and(r4, finSent),
    jeq(r4, 0, 'no_fin'),
    sub(amount, 1),
    label('no_fin'),
    jeq(r3, state.close, 'closed'),
    unlessSame(context, 'tx_same', 'exit'),
    ja('total'),
    label('closed'),
    note('not connected: what was queued when it was', load(amount, 'u64', own, Value.txEnd)),
    jeq(amount, unknownEnd, 'exit'),
    label('total'),
  ]
}

/** Goes to `otherwise` unless `socket` has the connection of the flow: programs may have missed that it connected once more. */
function unlessSame(context: Context, name: string, otherwise: string): Code {
  return [firstSequence(context, name, { racing: false }), load(r2, 'u32', own, Value.isn), jne32(r1, r2, otherwise)]
}

/** `amount =` what was consumed; goes to `exit` when it changes meanwhile. */
function receivedTwice(context: Context): Code {
  const [first, again] = ['first', 'again'].map(name => [
    consumed(context, `rx_${name}`, { racing: true }),
    context.calls ? [] : consumedUrgent(context, `urgent_${name}`),
  ])
  return [twice(context, first!, again!), unlessSame(context, 'rx_same', 'rx_settled')]
}

/** `r1 = amount =` what `read`, which is `again` the second time, leaves in r1 twice; otherwise goes to `exit`. */
function twice({ access }: Context, read: Code, again = read): Code {
  return [read, mov(amount, r1), barrier(), access.refresh(), again, jne(r1, amount, 'exit')]
}

/** What comes later is read later: an atomic operation that fetches is a full barrier (Documentation/bpf/linux-notes.rst). */
function barrier(): Code {
  return [mov(r1, 0), store('u64', r10, stack.filterKey, 0), xchg('u64', r10, stack.filterKey, r1)]
}

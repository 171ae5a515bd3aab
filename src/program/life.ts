import {
  and, call, type Code, ja, jeq, jne, jne32, jset, label, load, lsh, mov, note, r0, r1, r2, r6, r7, r9, store,
} from '../../bpf-asm/index.js'
import { Stat, Value } from '../layout.js'
import { chargeLast, leave, lose, type Moved, nobody, rx, tx } from './charge.js'
import { amount, type Context, flow, maskOf, protocol, socket, state } from './context.js'
import { consumed, consumedUrgent, firstSequence, lessFin, queued, takeConsumed, takeQueued, unknownEnd } from './counter.js'
import { enter, established, expectCurrent, identify, syn, unlessDead } from './enter.js'
import { choosesProcesses } from './filter.js'
import { endFastOpen, stateSetMptcp, unlessCountedAtMptcp } from './mptcp.js'
import { endPocket, settle } from './pocket.js'
import { count, markGone } from './stat.js'
import { typed } from './typed.js'

/** `SOCK_BINDPORT_LOCK` (include/net/sock.h): the process chose the port, so that the next connection has it too. */
const portChosen = 8

/**
 * `trace_inet_sock_set_state(sk, old, new)`, under the lock and before the new state is stored: makes the entry of a connection that
 * leaves its handshake, ends that of one whose socket connects once more, and keeps the last count of one that ends.
 */
export function stateSet(context: Context): Code {
  const { access, field, calls, mptcp } = context
  return [
    load(r6, 'u64', r1, 0),
    load(r9, 'u32', r1, 16),
    note('r7: the old state, r9: the new one', load(r7, 'u32', r1, 8)),
    calls ? [access.read(r2, field.protocol, r6), jne(r2, protocol.tcp, 'mptcp')] : [],
    jeq(r7, state.synSent, 'interesting'),
    jeq(r7, state.synRecv, 'interesting'),
    jeq(r7, state.listen, 'exit'),
    mov(r1, 1),
    lsh(r1, r9),
    and(r1, 1 << state.close | 1 << state.finWait1 | 1 << state.lastAck | 1 << state.synSent),
    jeq(r1, 0, 'exit'),
    label('interesting'),
    access.asTcp(r6, mptcp ? 'mptcp' : 'exit'),
    access.find(),
    jeq(r0, 0, 'unknown'),
    settle(context, 'known'),
    access.unlessStale('unknown'),
    jeq(r9, state.synSent, 'anew'),
    jne(r7, state.synSent, 'connected'),
    store('u64', flow, Value.txEnd, unknownEnd),
    note('fast open, or the chosen port once more', firstSequence(context, 'again', { racing: false })),
    store('u32', flow, Value.isn, r1),
    store('u64', flow, Value.rxSeen, 0),
    syn(context, 'again_syn'),
    label('again_syn'),
    revive(),
    established(),
    identify(context, 'opened', 'exit', 'again'),
    jeq(r9, state.close, 'connected'),
    queued(context),
    store('u64', flow, Value.txEnd, r1),
    mptcp === undefined ? restSent(context, 'exit', 'again') : [
      note('r9: the socket’s own entry', mov(r9, flow)),
      restSent(context, 'sent_with_syn', 'again'),
      label('sent_with_syn'),
      endFastOpen(context, 'exit'),
    ],
    leave(),

    label('connected'),
    jeq(r9, state.established, 'exit'),
    mov(r7, r9),
    expectCloser(context, 'closing'),
    keepEnd(context, 'ended'),
    jne(r7, state.close, 'exit'),
    note('it has ended', call('ktime_get_ns')),
    store('u64', flow, Value.ended, r0),
    restReceived(context, 'exit'),
    label('exit'),
    leave(),

    label('anew'),
    note('r9: the socket’s own entry; what is pending is charged before anything begins anew', mov(r9, flow)),
    restSent(context, 'anew_rest', 'anew', { isAnew: true }),
    label('anew_rest'),
    mov(flow, r9),
    access.keepsPort ? [
      access.read(r1, field.userlocks, socket),
      jset(r1, portChosen << (field.userlocks.bitOffset ?? 0), 'exit'),
    ] : [],
    note('the port will be another: this connection is over', markGone()),
    ja('forget'),

    label('unknown'),
    unlessCountedAtMptcp(context, 'exit'),
    note('what is pending of its last connection is lost', jeq(r9, state.synSent, 'respilled')),
    jeq(r9, state.close, 'spilled'),
    jeq(r7, state.synSent, 'opened'),
    jne(r7, state.synRecv, choosesProcesses(context.filter) ? 'exit' : 'missed'),
    enter(context, 'accepted', { found: 'exit', spilled: 'exit', none: 'exit' }),
    label('opened'),
    enter(context, 'opened', { found: 'exit', spilled: 'exit', none: 'exit' }),
    label('forget'),
    endPocket(context, 'forget'),
    access.forget(),
    leave(),
    label('spilled'),
    endSpilled(context, choosesProcesses(context.filter) ? 'exit' : 'unseen', 'spilled_end'),
    label('respilled'),
    endPocket(context, 'respilled'),
    endSpilled(context, 'exit', 'respilled_end', { isLast: true, isAnew: true }),
    choosesProcesses(context.filter) ? [] : [
      label('unseen'),
      jeq(r7, state.synSent, 'exit'),
      jeq(r7, state.synRecv, 'exit'),
      label('missed'),
      unlessDead(context, 'exit'),
      enter(context, 'ending', { found: 'connected', spilled: 'exit', none: 'exit' }),
    ],

    mptcp ? [label('mptcp'), stateSetMptcp(context)] : !calls ? [] : [
      label('mptcp'),
      note('an MPTCP socket gives no other sign of its end', jne(r2, protocol.mptcp, 'exit')),
      jne(r9, state.close, 'exit'),
      typed(field).findMptcp(),
      jeq(r0, 0, 'exit'),
      markGone(),
      leave(),
    ],
  ]
}

/**
 * `trace_tcp_destroy_sock(sk)`: the last reading; after it nobody can move bytes. An entry that is not told of its end would stay for ever,
 * so two programs look out for it: one that runs into itself on a processor is left out (bpf_prog_inc_misses).
 */
export function destroyed(context: Context): Code {
  const { access } = context
  return [
    load(r6, 'u64', r1, 0),
    access.asTcp(r6, 'exit'),
    access.find(),
    jeq(r0, 0, 'spilled'),
    settle(context, 'known'),
    endPocket(context, 'known'),
    access.unlessStale('exit'),
    load(r1, 'u32', flow, Value.flags),
    note('another program has seen it', jne(r1, 0, 'exit')),
    note('r9: the socket’s own entry', mov(r9, flow)),
    restSent(context, 'sent', 'rest'),
    label('sent'),
    mov(flow, r9),
    restReceived(context, 'received'),
    label('received'),
    mov(flow, r9),
    markGone(),
    access.freed(),
    label('exit'),
    leave(),
    label('spilled'),
    endPocket(context, 'spilled'),
    endSpilled(context, 'exit', 'spilled_end', { isLast: true }),
  ]
}

/**
 * A process that ends a connection which nobody is known to have used is taken for its user: its calls may have been left out. At the return
 * of functions what the kernel moves by itself is seen, too: of what is charged already it is known who did it. Tracepoints do not tell of
 * that, but of every call: what no call moved is the kernel's. r9 is lost.
 */
function expectCloser(context: Context, done: string): Code {
  const { calls, filter, locked } = context
  return calls && !locked || choosesProcesses(filter) ? [] : [
    load(r1, 'u32', flow, Value.last),
    jne32(r1, nobody, done),
    calls ? [load(r1, 'u32', flow, Value.pid), jne32(r1, nobody, done)] : [],
    expectCurrent(context, done),
  ]
}

/** What was queued until now is all there will be, but for those who are sending right now: they are charged when their calls return. */
function keepEnd(context: Context, name: string): Code {
  return [queued(context), lessFin(name), store('u64', flow, Value.txEnd, r1)]
}

/** Charges what was sent unseen, by the kernel or by whoever did not return; goes to `none` without any. */
function restSent(context: Context, none: string, name: string, { isAnew = false } = {}): Code {
  return [
    // With `mptcp` a subflow has an entry for data that it sends with its SYN alone, until it is connected.
    context.mptcp === undefined ? unlessSubflow(context, none) : [],
    takeQueued(context, none, { name: `${name}_tx`, bounded: false, isAnew }),
    chargeLast(context, tx, `${name}_last`),
  ]
}

/** The same of what was received. */
function restReceived(context: Context, none: string): Code {
  return [
    unlessSubflow(context, none),
    consumed(context, 'rest_rx'),
    consumedUrgent(context, 'rest_urgent'),
    takeConsumed(context, none, amount, 'rest_consumed'),
    chargeLast(context, rx, 'last_rx'),
  ]
}

/** The end of a connection, or of its socket, that the map had no room for; ends the program, or goes to `none` if there is no such one. */
function endSpilled(context: Context, none: string, name: string, { isLast = false, isAnew = false } = {}): Code {
  const { access, filter } = context
  const to = (part: string) => `${name}_${part}`
  // Whose it was is not known: with a filter, only what is known to be wanted is lost.
  const loseIfAny = (moved: Moved) => choosesProcesses(filter) ? [] : lose(moved)
  return [
    unlessSubflow(context, 'exit'),
    access.kept(false),
    jeq(r0, 0, none),
    mov(flow, r0),
    isLast ? [
      takeQueued(context, to('rx'), { name: to('tx'), bounded: false, isAnew }),
      loseIfAny(tx),
      label(to('rx')),
    ] : keepEnd(context, to('kept')),
    consumed(context, name),
    takeConsumed(context, to('done'), amount, to('consumed')),
    loseIfAny(rx),
    label(to('done')),
    isLast ? access.forget() : [],
    leave(),
  ]
}

/** Goes to `otherwise` for a subflow of an MPTCP socket, if its bytes are counted where the application moves them. */
function unlessSubflow({ field, access, calls }: Context, otherwise: string): Code {
  const { subflow } = field
  return subflow === undefined || !calls ? [] : [access.read(r1, subflow, socket), jset(r1, maskOf(subflow), otherwise)]
}

/** The socket has the same port again after all. */
function revive(): Code {
  return [
    load(r1, 'u32', flow, Value.flags),
    jeq(r1, 0, 'alive'),
    store('u32', flow, Value.flags, 0),
    count(Stat.gone, -1),
    label('alive'),
  ]
}

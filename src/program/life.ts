import {
  any, aside, block, call, type Code, is, ja, label, leave, load, mov, not, note, type Place, place, r0, r1, r2, r7, r9, unless, when,
} from '../../bpf-asm/index.js'
import { maskOf } from './access.js'
import { chargeLast } from './charge.js'
import type { Context } from './context.js'
import { consumed, consumedUrgent, firstSequence, lessFin, queued, takeConsumed, takeQueued } from './counter.js'
import { enter, expectCurrent, syn, unlessDead } from './enter.js'
import { established, identify, markGone, nobody, unknownEnd } from './entry.js'
import { choosesProcesses } from './filter.js'
import { findFlow } from './flow.js'
import { flow, program, socket } from './frame.js'
import { bits, isIn, portChosen, protocol, state } from './kernel.js'
import { count, lose, type Moved, rx, tx } from './moved.js'
import { endFastOpen, stateSetMptcp, unlessCountedAtMptcp } from './mptcp.js'
import { endSlot, writeBack } from './slot.js'
import { typed } from './typed.js'

/** The old and the new state at `stateSet`. The socket's own flow, at `destroyed` and where the new state is no longer needed. */
const [before, now, own] = [r7, r9, r9]

/**
 * `trace_inet_sock_set_state(sk, old, new)`, under the lock and before the new state is stored: makes the flow of a connection that
 * leaves its handshake, ends that of one whose socket connects again, and keeps the last count of one that ends.
 */
export function stateSet(context: Context): Code {
  const { access, calls, field, mptcp } = context
  const connected = place('connected')
  return program(exit => {
    const noTcp = aside('mptcp', () => mptcp ? stateSetMptcp(context, exit) : endMptcp(context, exit))
    const unknown = aside('unknown', () => stateSetUnknown(context, connected, exit))
    const anew = aside('anew', () => connectsAgain(context, exit))
    return [
      load(socket, 'u64', r1, 0),
      load(now, 'u32', r1, 16),
      note('r7: the old state, r9: the new one', load(before, 'u32', r1, 8)),
      calls ? [access.read(r2, field.protocol, socket), is.ne(r2, protocol.tcp).jump(noTcp)] : [],
      unless(any(is.eq(before, state.synSent), is.eq(before, state.synRecv)), [
        is.eq(before, state.listen).jump(exit),
        not(isIn(bits(state.close, state.finWait1, state.lastAck, state.synSent), now, r1)).jump(exit),
      ]),
      access.asTcp(socket, mptcp ? noTcp : exit),
      findFlow(context, unknown),
      is.eq(now, state.synSent).jump(anew),
      when(is.eq(before, state.synSent), opensKnown(context, connected, exit)),

      label(connected),
      is.eq(now, state.established).jump(exit),
      mov(r7, now),
      expectCloser(context),
      keepEnd(context),
      is.ne(r7, state.close).jump(exit),
      note('it has ended', call('ktime_get_ns')),
      flow.ended.store(r0),
      restReceived(context, exit),
    ]
  })
}

/** A connection leaves SYN_SENT that has a flow: by fast open, or with the port that the process chose again. */
function opensKnown(context: Context, connected: Place, exit: Place): Code {
  return [
    flow.txEnd.store(unknownEnd),
    note('fast open, or the chosen port again', firstSequence(context, { racing: false })),
    flow.isn.store(r1),
    flow.rxSeen.store(0),
    syn(context),
    revive(),
    established(),
    identify(context, 'opened', exit),
    is.eq(now, state.close).jump(connected),
    queued(context),
    flow.txEnd.store(r1),
    context.mptcp === undefined ? restSent(context, exit) : [
      note('r9: the socket’s own flow', mov(own, flow)),
      block('sent with syn', sent => restSent(context, sent)),
      endFastOpen(context, exit),
    ],
    leave(),
  ]
}

/** A socket that had a connection connects again: what is pending is charged before anything begins anew. */
function connectsAgain(context: Context, exit: Place): Code {
  const { access, field } = context
  return [
    note('r9: the socket’s own flow', mov(own, flow)),
    block('rest', rest => restSent(context, rest, { isAnew: true })),
    mov(flow, own),
    access.keepsPort ? [
      access.read(r1, field.userlocks, socket),
      is.set(r1, portChosen << (field.userlocks.bitOffset ?? 0)).jump(exit),
    ] : [],
    note('the port will be another: this connection is closed', markGone()),
    endSlot(context),
    access.forget(),
    leave(),
  ]
}

/** A socket without a flow: it gets one if it opens, was accepted, or ends unseen; what the map had no space for is lost when it ends. */
function stateSetUnknown(context: Context, connected: Place, exit: Place): Code {
  const { access, filter } = context
  const chooses = choosesProcesses(filter)
  const opened = aside('opened', () => [enter(context, 'opened', exit, exit), ja(exit)])
  const missed = place('missed')
  const unseen = aside('unseen', () => [
    is.eq(before, state.synSent).jump(exit),
    is.eq(before, state.synRecv).jump(exit),
    label(missed),
    unlessDead(context, exit),
    enter(context, 'ending', connected, exit),
    ja(exit),
  ])
  const respilled = aside('respilled', () => [
    endSlot(context),
    endSpilled(context, exit, exit, { isLast: true, isAnew: true }),
    access.forget(),
    leave(),
  ])
  const spilled = aside('spilled', () => [endSpilled(context, chooses ? exit : unseen, exit), leave()])
  return [
    unlessCountedAtMptcp(context, exit),
    note('what is pending of its last connection is lost', is.eq(now, state.synSent).jump(respilled)),
    is.eq(now, state.close).jump(spilled),
    is.eq(before, state.synSent).jump(opened),
    is.ne(before, state.synRecv).jump(chooses ? exit : missed),
    enter(context, 'accepted', exit, exit),
    ja(exit),
  ]
}

/** Where an MPTCP socket is counted by what its calls return: nothing else says that it is closed. r2 has the protocol. */
function endMptcp({ field }: Context, exit: Place): Code {
  return [
    is.ne(r2, protocol.mptcp).jump(exit),
    is.ne(now, state.close).jump(exit),
    typed(field).findMptcp(),
    is.eq(r0, 0).jump(exit),
    markGone(),
    leave(),
  ]
}

/**
 * `trace_tcp_destroy_sock(sk)`: the last reading; after it nobody can move bytes. A flow whose end was missed would stay forever, so two programs watch
 * for it: the kernel skips a program that interrupts itself on a CPU (bpf_prog_inc_misses).
 */
export function destroyed(context: Context): Code {
  const { access } = context
  return program(exit => {
    const spilled = aside('spilled', () => [
      endSlot(context),
      endSpilled(context, exit, exit, { isLast: true }),
      access.forget(),
      leave(),
    ])
    return [
      load(socket, 'u64', r1, 0),
      access.asTcp(socket, exit),
      access.find(),
      is.eq(r0, 0).jump(spilled),
      writeBack(context),
      endSlot(context),
      access.unlessStale(exit),
      flow.flags.load(r1),
      note('another program has seen it', is.ne(r1, 0).jump(exit)),
      note('r9: the socket’s own flow', mov(own, flow)),
      block('sent', sent => restSent(context, sent)),
      mov(flow, own),
      block('received', received => restReceived(context, received)),
      mov(flow, own),
      markGone(),
      access.freed(),
    ]
  })
}

/**
 * A process that ends a connection without a known user is taken for its user: its calls may have been missed. At the return of functions, what the
 * kernel moves by itself is seen too, so it is known who moved what is charged already. Tracepoints do not show that, but they show every call: what
 * no call moved is the kernel's. r9 is lost.
 */
function expectCloser(context: Context): Code {
  const { calls, filter, locked } = context
  return calls && !locked || choosesProcesses(filter) ? [] : block('closing', done => [
    flow.last.load(r1),
    is.ne32(r1, nobody).jump(done),
    calls ? [flow.pid.load(r1), is.ne32(r1, nobody).jump(done)] : [],
    expectCurrent(context),
  ])
}

/** What is queued now is all there will be, except what calls are sending right now: they are charged when they return. */
function keepEnd(context: Context): Code {
  return [queued(context), lessFin(), flow.txEnd.store(r1)]
}

/** Charges what was sent unseen, by the kernel or by calls that did not return; leaves for `none` without any. */
function restSent(context: Context, none: Place, { isAnew = false } = {}): Code {
  return [
    // With `mptcp` only a subflow that sends data with its SYN has a flow, until it is connected.
    context.mptcp === undefined ? unlessSubflow(context, none) : [],
    takeQueued(context, none, { bounded: false, isAnew }),
    chargeLast(context, tx),
  ]
}

/** The same of what was received. */
function restReceived(context: Context, none: Place): Code {
  return [
    unlessSubflow(context, none),
    consumed(context),
    consumedUrgent(context),
    takeConsumed(context, none),
    chargeLast(context, rx),
  ]
}

/**
 * The end of a connection, or with `isLast` of its socket, that the map had no space for: counts its last bytes as lost. Leaves for `none` if none is
 * kept of it, and for `exit` for a subflow.
 */
function endSpilled(context: Context, none: Place, exit: Place, { isLast = false, isAnew = false } = {}): Code {
  const { access, filter } = context
  // Whose it was is not known: with a filter, only what is known to be wanted is lost.
  const loseIfAny = (moved: Moved) => choosesProcesses(filter) ? [] : lose(moved)
  return [
    unlessSubflow(context, exit),
    access.kept(false),
    is.eq(r0, 0).jump(none),
    mov(flow, r0),
    isLast ? block('sent', sent => [takeQueued(context, sent, { bounded: false, isAnew }), loseIfAny(tx)]) : keepEnd(context),
    block('received', received => [consumed(context), takeConsumed(context, received), loseIfAny(rx)]),
  ]
}

/** Leaves for `otherwise` for a subflow of an MPTCP socket, if its bytes are counted where the application moves them. */
function unlessSubflow({ field, access, calls }: Context, otherwise: Place): Code {
  const { subflow } = field
  return subflow === undefined || !calls ? [] : [access.read(r1, subflow, socket), is.set(r1, maskOf(subflow)).jump(otherwise)]
}

/** The socket has the same port again after all. */
function revive(): Code {
  return [flow.flags.load(r1), unless(is.eq(r1, 0), [flow.flags.store(0), count('gone', -1)])]
}

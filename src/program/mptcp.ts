import {
  add, address, aside, block, type Code, type Field as Word, is, ja, leave, load, mov, not, note, or, type Place, r0, r1, r2, r9, type Register, sub, sub32,
  unless, when,
} from '../../bpf-asm/index.js'
import { loadCopy, maskOf } from './access.js'
import { admit } from './admit.js'
import { chargeOf, loseCurrent } from './charge.js'
import type { Call, Context } from './context.js'
import { enter, publish } from './enter.js'
import { fill, identify, markGone } from './entry.js'
import type { Mptcp, Unread } from './field.js'
import { choosesProcesses } from './filter.js'
import { withFlow } from './flow.js'
import { amount, flow, program, socket, stack } from './frame.js'
import { bits, isIn, protocol, socketDead, state } from './kernel.js'
import { both } from './moved.js'

/** States in which an MPTCP socket is connected, in which `write_seq` includes the DATA_FIN that was sent, and `ack_seq` the one that arrived. */
const connected = bits(state.established, state.finWait1, state.finWait2, state.closeWait, state.lastAck, state.closing)
const finSent = bits(state.finWait1, state.finWait2, state.lastAck, state.closing)
const finReceived = bits(state.closeWait, state.lastAck, state.closing)
/** More than one call can move: the counter was reset. */
const most = 0x7fff_ffff

/** The context in which MPTCP sockets are looked up: apart from TCP's, so that plain TCP need not ask which it is. */
function apart(context: Context): { context: Context; mptcp: Mptcp } {
  const { access: { mptcp: access }, mptcp } = context
  if (access === undefined || mptcp === undefined) throw new Error('an MPTCP socket is known by its address, and BTF')
  return { context: { ...context, access, slots: false }, mptcp }
}

/** Leaves for `otherwise` for a subflow of an MPTCP socket that has counters of its own. `socket` is known to be TCP. */
export function unlessCountedAtMptcp({ field: { subflow }, access, mptcp }: Context, otherwise: Place): Code {
  return subflow === undefined || mptcp === undefined ? [] : [access.read(r1, subflow, socket), is.set(r1, maskOf(subflow)).jump(otherwise)]
}

/** Leaves for `otherwise` unless a subflow sends data with its SYN (fast open): its MPTCP socket does not count those. */
function unlessSendsWithSyn({ access, field }: Context, otherwise: Place): Code {
  return [
    access.read(r1, field.state, socket),
    is.ne(r1, state.synSent).jump(otherwise),
    access.read(r1, field.writeSeq, socket),
    access.read(r2, field.sndUna, socket),
    sub32(r1, r2),
    note('nothing but the SYN', is.le(r1, 1).jump(otherwise)),
  ]
}

/** The same as `unlessCountedAtMptcp`, except that a subflow that sends data with its SYN has a flow until it is connected. */
export function unlessFastOpen(context: Context, otherwise: Place): Code {
  const { field: { subflow }, access, mptcp } = context
  return subflow === undefined || mptcp === undefined ? [] :
    when(is.set(r1, maskOf(subflow)).after(access.read(r1, subflow, socket)), unlessSendsWithSyn(context, otherwise))
}

/**
 * The return of `tcp_sendmsg_fastopen(sk, …)`, by which MPTCP sends data with a SYN: the subflow gets its flow. Plain TCP gets its own when the
 * function that called this returns.
 */
export function sentWithSyn(context: Context, call: Call): Code {
  const { access } = context
  return program(exit => [
    load(socket, 'u64', r1, call.first),
    access.asTcp(socket, exit, { sure: true }),
    block('mptcp', mptcp => [unlessCountedAtMptcp(context, mptcp), ja(exit)]),
    unlessSendsWithSyn(context, exit),
    access.find(),
    is.ne(r0, 0).jump(exit),
    enter(context, 'used', exit, exit),
  ])
}

/** The flow of such a subflow, in r9, ends when it is connected. Leaves for `otherwise` for any other socket. */
export function endFastOpen(context: Context, otherwise: Place): Code {
  return [
    block('fast open', fastOpen => [unlessCountedAtMptcp(context, fastOpen), ja(otherwise)]),
    mov(flow, r9),
    markGone(),
    context.access.forget(),
  ]
}

/**
 * The entry of `mptcp_release_cb(sk)`, by which `release_sock` releases an MPTCP socket: charges what the process moved since. The process still has
 * the lock, and the spinlock under which packets arrive is held as well.
 */
export function releasedMptcp(whole: Context, { first }: Call): Code {
  const { context, mptcp } = apart(whole)
  const { access, field, filter } = context
  const chooses = choosesProcesses(filter)
  const { current, lost } = chargeOf(context, both)
  return program(exit => {
    const dead = aside('dead', () => [
      access.read(r1, field.state, socket),
      is.ne(r1, state.close).jump(exit),
      unless(is.eq(flow, 0), markGone()),
      access.forget(),
      leave(),
    ])
    return [
      load(socket, 'u64', r1, first),
      access.refresh([field.family, field.state, field.flags]),
      withFlow(context, {
        find: unknown => [
          access.find(),
          note('closed by all: no process moves bytes, and what was not read is dropped', access.read(r1, field.flags, socket)),
          is.set(r1, socketDead).jump(dead),
          is.eq(flow, 0).jump(unknown),
          unlessOther(context, mptcp, aside('stale', () => [note('its end was missed', markGone()), access.forget(), ja(unknown)]), exit),
        ],
        make: known => [
          access.read(r1, field.state, socket),
          unless(isIn(connected, r1, r2), [
            note('no more, but what waits may still be read', is.ne(r1, state.close).jump(exit)),
            access.kept(false),
            is.eq(r0, 0).jump(exit),
          ]),
          access.read(r1, field.dport, socket),
          note('its addresses are not known yet', is.eq(r1, 0).jump(exit)),
          !chooses ? [] : block('weighed', unwanted => [
            stack.wanted.store(0),
            access.current(),
            admit(context, unwanted),
            stack.wanted.store(1),
          ]),
          valueOf(context, mptcp),
          identify(context, 'mptcp', exit),
          access.remember(true, exit),
          publish(context, chooses ? 'when wanted' : 'always', known, exit),
        ],
        found: [takeMoved(context, mptcp, exit), current],
        spilled: [takeMoved(context, mptcp, exit), loseCurrent(context, lost, exit)],
      }),
    ]
  })
}

/**
 * At `trace_inet_sock_set_state`, a socket that is no TCP socket; the new state is in r9. An MPTCP socket counts from the moment when its connection is
 * established: its first call may send. Ends the program or leaves for `exit`.
 */
export function stateSetMptcp(whole: Context, exit: Place): Code {
  const { context, mptcp } = apart(whole)
  const { access, field } = context
  return [
    access.read(r1, field.protocol, socket),
    is.ne(r1, protocol.mptcp).jump(exit),
    is.ne(r9, state.established).jump(exit),
    access.find(),
    unless(is.eq(flow, 0), note('of its last connection, or of another socket', markGone())),
    access.forget(),
    valueOf(context, mptcp),
    access.remember(true, exit),
    leave(),
  ]
}

/**
 * A `socket` that is older than the programs and is no TCP socket: one of MPTCP counts from here. Its lock is not held: before Linux 6.9 or so, what
 * is read at this moment may be counted too. Ends the program or leaves for `exit`.
 */
export function seedMptcp(whole: Context, exit: Place): Code {
  const { context, mptcp } = apart(whole)
  const { access, field } = context
  return [
    access.read(r1, field.protocol, socket),
    is.ne(r1, protocol.mptcp).jump(exit),
    access.read(r1, field.state, socket),
    not(isIn(connected | bits(state.close), r1, r2)).jump(exit),
    valueOf(context, mptcp),
    access.remember(true, exit),
    leave(),
  ]
}

/** Makes a value at `flow`, on the stack, with the counters as they are. r7 and r9 are lost. */
function valueOf(context: Context, mptcp: Mptcp): Code {
  return [
    address(flow, stack.value),
    fill(context, 'mptcp'),
    context.access.readMptcp(r1, mptcp.token),
    flow.isn.store(r1),
    queued(context, mptcp),
    flow.txSeen.store(now.queued),
    consumed(context, mptcp),
    flow.rxSeen.store(now.consumed),
  ]
}

/** Leaves for `stale` when `flow` is of another connection, known by its token; for `exit` after a disconnect, which drops what was not read. */
function unlessOther({ access, field }: Context, mptcp: Mptcp, stale: Place, exit: Place): Code {
  return [
    access.readMptcp(r1, mptcp.token),
    flow.isn.load(r2),
    unless(is.eq(r1, r2), [
      is.ne(r1, 0).jump(stale),
      access.read(r1, field.state, socket),
      is.eq(r1, state.close).jump(exit),
    ]),
  ]
}

/** `amount =` what was sent and `stack.received =` what was received that no process was charged for; leaves for `none` when both are zero. */
function takeMoved(context: Context, mptcp: Mptcp, none: Place): Code {
  const { access, field } = context
  return [
    stack.received.store(0),
    note('closed: no process sends, and nothing says whether a DATA_FIN was sent', access.read(r1, field.state, socket)),
    mov(amount, 0),
    unless(is.eq(r1, state.close), [
      queued(context, mptcp),
      block('sent', sent => [
        block('nothing', nothing => [
          take(flow.txSeen, now.queued, nothing),
          mov(amount, r1),
          ja(sent),
        ]),
        mov(amount, 0),
      ]),
    ]),
    consumed(context, mptcp),
    block('received', received => [
      take(flow.rxSeen, now.consumed, received),
      stack.received.store(r1),
    ]),
    stack.received.load(r1),
    or(r1, amount),
    is.eq(r1, 0).jump(none),
  ]
}

/** `r1 =` how far `counter` is beyond `seen`, which follows it; leaves for `none` when it is not, or was reset. */
function take(seen: Word, counter: Register, none: Place): Code {
  return [
    seen.load(r2),
    mov(r1, counter),
    sub(r1, r2),
    is.eq(r1, 0).jump(none),
    seen.store(counter),
    is.gt(r1, most).jump(none),
  ]
}

/** Where `queued` and `consumed` leave their counters, across calls. */
const now = { queued: amount, consumed: r9 } as const

/** `now.queued =` the sequence number of the next byte that is sent (mptcp_sendmsg), less the DATA_FIN. */
function queued({ access, field }: Context, { writeSeq }: Mptcp): Code {
  return [access.readMptcp(now.queued, writeSeq), when(isIn(finSent, r1, r2).after(access.read(r1, field.state, socket)), lessFin(now.queued))]
}

const lessFin = (counter: Register) => note('less the DATA_FIN', sub(counter, 1))

/** `now.consumed =` all bytes ever received, counted from an arbitrary start. */
function consumed(context: Context, { consumed, unread }: Mptcp): Code {
  return unread === undefined ? context.access.readMptcp(now.consumed, consumed) : firstUnread(context, unread)
}

/**
 * Before `bytes_consumed` existed: `now.consumed =` the sequence number of the first byte that was not read. What arrives is queued under the spinlock
 * that is held.
 */
function firstUnread({ access, field }: Context, unread: Unread): Code {
  const { scratch } = stack
  return block('known', known => [
    block('packet', packet => [
      unread.queues.map(({ length, first }) => [
        loadCopy(r1, length, socket),
        unless(is.eq(r1, 0), [loadCopy(now.consumed, first, socket), ja(packet)]),
      ]),
      note('all was read', loadCopy(now.consumed, unread.ackSeq, socket)),
      when(isIn(finReceived, r1, r2).after(access.read(r1, field.state, socket)), [lessFin(now.consumed), ja(known)]),
      access.read(r1, field.state, socket),
      is.ne(r1, state.close).jump(known),
      loadCopy(r1, unread.finSeq, socket),
      add(r1, 1),
      is.ne(r1, now.consumed).jump(known),
      sub(now.consumed, 1),
      ja(known),
    ]),
    loadCopy(r1, unread.length, now.consumed),
    scratch.word.store(r1),
    loadCopy(r2, unread.taken, now.consumed),
    scratch.word.load(r1),
    sub(r1, r2),
    scratch.word.store(r1),
    loadCopy(now.consumed, unread.end, now.consumed),
    scratch.word.load(r1),
    sub(now.consumed, r1),
  ])
}

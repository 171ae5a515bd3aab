import {
  add, and, type Code, ja, jeq, jgt, jle, jne, jset, label, load, lsh, type Member, mov, note, or, r0, r1, r10, r2, r9, readKernel, type Register, store,
  sub, sub32,
} from '../../bpf-asm/index.js'
import { Value } from '../layout.js'
import { lookup, sizeOf } from './access.js'
import { both, chargeCurrent, leave } from './charge.js'
import { amount, bits, type Call, type Context, flow, mapName, maskOf, protocol, socket, socketDead, stack, state } from './context.js'
import { enter, fill, identify, insert } from './enter.js'
import type { Mptcp } from './field.js'
import { admit, choosesProcesses } from './filter.js'
import { loseCurrent } from './result.js'
import { markGone } from './stat.js'

/** States in which an MPTCP socket is connected, in which `write_seq` counts the DATA_FIN that was sent, and `ack_seq` the one that has arrived. */
const connected = bits(state.established, state.finWait1, state.finWait2, state.closeWait, state.lastAck, state.closing)
const finSent = bits(state.finWait1, state.finWait2, state.lastAck, state.closing)
const finReceived = bits(state.closeWait, state.lastAck, state.closing)
/** More than one call can move: the counter was set anew. */
const most = 0x7fff_ffff

/** The context in which MPTCP sockets are looked up: apart from TCP's, so that plain TCP never has to ask which it is. */
function apart(context: Context): { context: Context; mptcp: Mptcp } {
  const { access: { mptcp: access }, mptcp } = context
  if (access === undefined || mptcp === undefined) throw new Error('an MPTCP socket is known by its address, and BTF')
  return { context: { ...context, access, pocket: false }, mptcp }
}

/** Goes to `otherwise` for a subflow of an MPTCP socket that is counted by its own counters. `socket` is known to be TCP. */
export function unlessCountedAtMptcp({ field: { subflow }, access, mptcp }: Context, otherwise: string): Code {
  return subflow === undefined || mptcp === undefined ? [] : [access.read(r1, subflow, socket), jset(r1, maskOf(subflow), otherwise)]
}

/**
 * The same, except for a subflow that sends data with its SYN (fast open): those are no part of what its MPTCP socket counts, so it has an entry
 * until it is connected.
 */
export function unlessFastOpen(context: Context, otherwise: string): Code {
  const { access, field, mptcp } = context
  return mptcp === undefined ? [] : [
    unlessCountedAtMptcp(context, 'subflow'),
    ja('no_subflow'),
    label('subflow'),
    access.read(r1, field.state, socket),
    jne(r1, state.synSent, otherwise),
    access.read(r1, field.writeSeq, socket),
    access.read(r2, field.sndUna, socket),
    sub32(r1, r2),
    note('nothing but the SYN', jle(r1, 1, otherwise)),
    label('no_subflow'),
  ]
}

/**
 * The return of `tcp_sendmsg_fastopen(sk, …)`, by which MPTCP sends data with a SYN: the subflow gets its entry. Plain TCP gets its own when the
 * function that called this returns.
 */
export function sentWithSyn(context: Context, call: Call): Code {
  const { access } = context
  return [
    load(socket, 'u64', r1, call.first),
    access.asTcp(socket, 'exit', { sure: true }),
    unlessCountedAtMptcp(context, 'mptcp'),
    ja('exit'),
    label('mptcp'),
    unlessFastOpen(context, 'exit'),
    access.find(),
    jne(r0, 0, 'exit'),
    enter(context, 'used', { found: 'exit', spilled: 'exit', none: 'exit' }),
    label('exit'),
    leave(),
  ]
}

/** The entry of such a subflow, in r9, ends when it is connected. */
export function endFastOpen(context: Context, otherwise: string): Code {
  return [unlessCountedAtMptcp(context, 'fast_open'), ja(otherwise), label('fast_open'), mov(flow, r9), markGone(), context.access.forget()]
}

/**
 * The entry of `mptcp_release_cb(sk)`, by which `release_sock` lets go of an MPTCP socket: charges what the process moved since. The lock is
 * still the process's, and the spinlock under which packets arrive is held as well.
 */
export function releasedMptcp(whole: Context, { first }: Call): Code {
  const { context, mptcp } = apart(whole)
  const { access, field, filter } = context
  const chooses = choosesProcesses(filter)
  return [
    load(socket, 'u64', r1, first),
    access.refresh([field.family, field.state, field.flags]),
    access.find(),
    note('closed by all: nobody moves bytes, and what was not read is dropped', access.read(r1, field.flags, socket)),
    jset(r1, socketDead, 'dead'),
    jeq(flow, 0, 'unknown'),
    unlessOther(context, mptcp),
    label('found'),
    moved(context, mptcp, 'exit', 'moved'),
    chargeCurrent(context, both),
    label('exit'),
    leave(),
    label('stale'),
    note('its end was missed', markGone()),
    access.forget(),
    label('unknown'),
    access.read(r1, field.state, socket),
    mov(r2, 1),
    lsh(r2, r1),
    and(r2, connected),
    jne(r2, 0, 'connected'),
    note('no more, but what waits may still be read', jne(r1, state.close, 'exit')),
    access.kept(false),
    jeq(r0, 0, 'exit'),
    label('connected'),
    access.read(r1, field.dport, socket),
    note('its addresses are not known yet', jeq(r1, 0, 'exit')),
    chooses ? [store('u64', r10, stack.wanted, 0), access.current(), admit(context, 'weighed', 'admit_new'), store('u64', r10, stack.wanted, 1)] : [],
    label('weighed'),
    valueOf(context, mptcp),
    identify(context, 'mptcp', 'exit'),
    access.remember('mptcp', true, 'exit'),
    chooses ? [load(r1, 'u64', r10, stack.wanted), note('the map is for what is wanted', jeq(r1, 0, 'beside'))] : [],
    insert('entered'),
    label('entered'),
    lookup(mapName.flows, stack.key),
    mov(flow, r0),
    jne(r0, 0, 'found'),
    label('beside'),
    access.kept(true),
    jeq(r0, 0, 'exit'),
    mov(flow, r0),
    moved(context, mptcp, 'exit', 'spill'),
    loseCurrent(context),
    label('dead'),
    access.read(r1, field.state, socket),
    jne(r1, state.close, 'exit'),
    jeq(flow, 0, 'ended'),
    markGone(),
    label('ended'),
    access.forget(),
    leave(),
  ]
}

/**
 * At `trace_inet_sock_set_state`, a socket that is no TCP socket and leaves SYN_SENT, or ends; the new state is in r9. An MPTCP socket counts
 * from the moment when its connection stands: its first call may send.
 */
export function stateSetMptcp(whole: Context): Code {
  const { context, mptcp } = apart(whole)
  const { access, field } = context
  return [
    access.read(r1, field.protocol, socket),
    jne(r1, protocol.mptcp, 'exit'),
    jne(r9, state.established, 'exit'),
    access.find(),
    jeq(flow, 0, 'mptcp_anew'),
    note('of its last connection, or of another socket', markGone()),
    label('mptcp_anew'),
    access.forget(),
    valueOf(context, mptcp),
    access.remember('mptcp', true, 'exit'),
    leave(),
  ]
}

/**
 * A socket at r6 that was there before us and is no TCP socket: one of MPTCP counts from here. Its lock is not held: before Linux 6.9 or so, what is
 * read at this moment may be counted too.
 */
export function seedMptcp(whole: Context): Code {
  const { context, mptcp } = apart(whole)
  const { access, field } = context
  return [
    access.read(r1, field.protocol, socket),
    jne(r1, protocol.mptcp, 'exit'),
    access.read(r1, field.state, socket),
    mov(r2, 1),
    lsh(r2, r1),
    and(r2, connected | 1 << state.close),
    jeq(r2, 0, 'exit'),
    valueOf(context, mptcp),
    access.remember('mptcp', true, 'exit'),
    leave(),
  ]
}

/** A new value on the stack, at `flow`, with the counters as they are. r7 and r9 are lost. */
function valueOf(context: Context, mptcp: Mptcp): Code {
  return [
    mov(flow, r10),
    add(flow, stack.value),
    fill(context, 'mptcp'),
    context.access.readMptcp(r1, mptcp.token),
    store('u32', flow, Value.isn, r1),
    queued(context, mptcp, 'value_tx'),
    store('u64', flow, Value.txSeen, now.queued),
    consumed(context, mptcp, 'value_rx'),
    store('u64', flow, Value.rxSeen, now.consumed),
  ]
}

/** Goes to `stale` when `flow` is of another connection, known by its token; to `exit` after a disconnect, which drops what was not read. */
function unlessOther({ access, field }: Context, mptcp: Mptcp): Code {
  return [
    access.readMptcp(r1, mptcp.token),
    load(r2, 'u32', flow, Value.isn),
    jeq(r1, r2, 'found'),
    jne(r1, 0, 'stale'),
    access.read(r1, field.state, socket),
    jeq(r1, state.close, 'exit'),
  ]
}

/** `amount =` what was sent, and on the stack what was received, of which nobody was charged; goes to `none` when it is nothing. */
function moved(context: Context, mptcp: Mptcp, none: string, name: string): Code {
  const { access, field } = context
  const to = (part: string) => `${name}_${part}`
  return [
    store('u64', r10, stack.received, 0),
    note('closed: nobody sends, and of a DATA_FIN nothing tells', access.read(r1, field.state, socket)),
    mov(amount, 0),
    jeq(r1, state.close, to('sent')),
    queued(context, mptcp, to('tx')),
    take(Value.txSeen, now.queued, to('nothing')),
    mov(amount, r1),
    ja(to('sent')),
    label(to('nothing')),
    mov(amount, 0),
    label(to('sent')),
    consumed(context, mptcp, to('rx')),
    take(Value.rxSeen, now.consumed, to('received')),
    store('u64', r10, stack.received, r1),
    label(to('received')),
    load(r1, 'u64', r10, stack.received),
    or(r1, amount),
    jeq(r1, 0, none),
  ]
}

/** `r1 =` how far `counter` is beyond the one in `flow`, which follows it; goes to `none` when it is not, or was set anew. */
function take(seen: number, counter: Register, none: string): Code {
  return [
    load(r2, 'u64', flow, seen),
    mov(r1, counter),
    sub(r1, r2),
    jeq(r1, 0, none),
    store('u64', flow, seen, counter),
    jgt(r1, most, none),
  ]
}

/** Where `queued` and `consumed` leave their counters, over calls. */
const now = { queued: amount, consumed: r9 } as const

/** `now.queued =` the sequence number of the next byte that is sent (mptcp_sendmsg), less the DATA_FIN. */
function queued({ access, field }: Context, { writeSeq }: Mptcp, name: string): Code {
  return [
    access.readMptcp(now.queued, writeSeq),
    lessFin(access.read(r1, field.state, socket), finSent, now.queued, `${name}_counted`),
    label(`${name}_counted`),
  ]
}

/**
 * `now.consumed =` all bytes ever received, from wherever they are counted: `bytes_consumed`, or before there was one, the sequence number
 * of the first byte that was not read. What arrives is queued under the spinlock that is held.
 */
function consumed({ access, field }: Context, { consumed, unread }: Mptcp, name: string): Code {
  const to = (part: string | number) => `${name}_${part}`
  const read = ({ size, offset }: Member, base: Register) => [
    readKernel(stack.passing, size, base, offset),
    load(now.consumed, sizeOf({ size, offset }), r10, stack.passing),
  ]
  if (unread === undefined) return access.readMptcp(now.consumed, consumed)
  const kept = (code: Code) => [code, store('u64', r10, stack.filterKey, r1)]
  return [
    unread.queues.map(({ length, first }, index) => [
      readKernel(stack.passing, length.size, socket, length.offset),
      load(r1, 'u32', r10, stack.passing),
      jeq(r1, 0, to(index)),
      read(first, socket),
      ja(to('packet')),
      label(to(index)),
    ]),
    note('all was read', read(unread.ackSeq, socket)),
    lessFin(access.read(r1, field.state, socket), finReceived, now.consumed, to('open')),
    ja(to('known')),
    label(to('open')),
    access.read(r1, field.state, socket),
    jne(r1, state.close, to('known')),
    readKernel(stack.passing, unread.finSeq.size, socket, unread.finSeq.offset),
    load(r1, 'u64', r10, stack.passing),
    add(r1, 1),
    jne(r1, now.consumed, to('known')),
    sub(now.consumed, 1),
    ja(to('known')),
    label(to('packet')),
    kept([readKernel(stack.passing, unread.length.size, now.consumed, unread.length.offset), load(r1, 'u32', r10, stack.passing)]),
    kept([
      readKernel(stack.passing, unread.taken.size, now.consumed, unread.taken.offset),
      load(r2, 'u32', r10, stack.passing),
      load(r1, 'u64', r10, stack.filterKey),
      sub(r1, r2),
    ]),
    read(unread.end, now.consumed),
    load(r1, 'u64', r10, stack.filterKey),
    sub(now.consumed, r1),
    label(to('known')),
  ]
}

/** Takes the DATA_FIN off `counter` in `states`, or goes to `open`; `state` reads the socket's into r1. */
function lessFin(state: Code, states: number, counter: Register, open: string): Code {
  return [state, mov(r2, 1), lsh(r2, r1), and(r2, states), jeq(r2, 0, open), note('less the DATA_FIN', sub(counter, 1))]
}

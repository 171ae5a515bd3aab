import { and, aside, block, type Code, is, ja, label, load, note, type Place, place, r0, r1, r2, type Register, unless } from '../../bpf-asm/index.js'
import { chargeOf, loseCurrent } from './charge.js'
import type { Call, Context } from './context.js'
import { enter } from './enter.js'
import { present } from './field.js'
import { amount, flow, program, socket, stack } from './frame.js'
import { message, protocol, userDataPsock } from './kernel.js'
import { type Moved, rx, tx } from './moved.js'
import { typed } from './typed.js'

/** Flags of calls that took nothing out of the receive queue, or no data. */
const notTaken = message.peek | message.errorQueue

/**
 * Leaves for `redirected` when the socket at `source` is in a sockmap: programs may then move its bytes to other sockets, so only the return values of
 * calls say what a process moved.
 */
export function ifRedirected({ field, access, calls }: Context, source: Register, redirected: Place): Code {
  return calls ? [access.read(r1, present(field, 'userData'), source), is.set(r1, userDataPsock).jump(redirected)] : []
}

/** The return of `mptcp_sendmsg(sk, …)`: charges its value. */
export function sentTo(context: Context, call: Call): Code {
  return byResult(context, call, tx, lookMptcp)
}

/** The return of `mptcp_recvmsg(sk, …, flags, …)`: charges its value. */
export function receivedFrom(context: Context, call: Call): Code {
  return byResult(context, call, rx, lookMptcp)
}

/** The return of `tcp_bpf_sendmsg(sk, …)`, by which a process gives bytes to a sockmap: charges its value. */
export function sentToMap(context: Context, call: Call): Code {
  return byResult(context, call, tx, lookTcp)
}

/** The return of `tcp_bpf_recvmsg` or `tcp_bpf_recvmsg_parser`, by which it takes bytes out of one: charges its value. */
export function receivedFromMap(context: Context, call: Call): Code {
  return byResult(context, call, rx, lookTcp)
}

/**
 * `trace_sock_recv_length(sk, ret, flags)`, since 6.3: charges what the caller received where its sequence numbers do not say: from an MPTCP
 * socket, from one in a sockmap, and an urgent byte.
 */
export function received(context: Context): Code {
  const { field, access } = context
  const { current, lost } = chargeOf(context, rx)
  /** Counts an urgent byte as seen. */
  const skipped = () => [
    stack.received.load(r1),
    unless(is.eq(r1, 0), note('the stream will come to it', flow.rxSeen.add(amount))),
  ]
  const found = place('found')
  return program(exit => {
    const unattributed = place('unattributed')
    const spilled = aside('spilled', () => [skipped(), label(unattributed), loseCurrent(context, lost, exit)])
    const mptcp = aside('mptcp', () => lookMptcp(context, { found, none: exit, spilled: unattributed }))
    return [
      load(amount, 'u32', r1, 8),
      is.sle32(amount, 0).jump(exit),
      load(socket, 'u64', r1, 0),
      load(r2, 'u32', r1, 16),
      is.set(r2, notTaken).jump(exit),
      and(r2, message.urgent),
      stack.received.store(r2),
      access.read(r1, field.protocol, socket),
      is.eq(r1, protocol.mptcp).jump(mptcp),
      is.ne(r1, protocol.tcp).jump(exit),
      block('tcp', tcp => [
        is.ne(r2, 0).jump(tcp),
        ifRedirected(context, socket, tcp),
        ja(exit),
      ]),
      lookTcp(context, { found, none: exit, spilled }),
      label(found),
      skipped(),
      current,
    ]
  })
}

/** Where the search for a flow ends. */
interface Ways {
  /** With `flow`. */
  readonly found: Place
  /** It is not wanted. */
  readonly none: Place
  /** There is no space for a flow: `flow` is what is kept beside it. */
  readonly spilled: Place
}

/** Charges the result of a call to the flow that `look` finds for `socket`. */
function byResult(context: Context, call: Call, moved: Moved, look: (context: Context, ways: Ways) => Code): Code {
  const flags = call.argument('flags')
  const { current, lost } = chargeOf(context, moved)
  const found = place('found')
  return program(exit => [
    load(amount, 'u32', r1, call.result),
    is.sle32(amount, 0).jump(exit),
    moved === tx || flags === undefined ? [] : [load(r2, 'u32', r1, flags), is.set(r2, notTaken).jump(exit)],
    load(socket, 'u64', r1, call.first),
    look(context, { found, none: exit, spilled: aside('unattributed', () => loseCurrent(context, lost, exit)) }),
    label(found),
    current,
  ])
}

/** Finds or makes the flow of a TCP socket whose counters do not say what a process moved. The lock is not held: a slot stays as it is. */
function lookTcp(context: Context, ways: Ways): Code {
  const { access } = context
  return [access.asTcp(socket, ways.none), look(context, access.find(), 'receiving', ways)]
}

/** The same for an MPTCP socket, whose own counters mean other things: all of `amount`, which its call returned, is to be charged. */
export function lookMptcp(context: Context, ways: Ways): Code {
  return look(context, typed(context.field).findMptcp(), 'mptcp', ways)
}

/** As `withFlow`, for what is charged at a place that several kinds of sockets come to. */
function look(context: Context, find: Code, origin: 'receiving' | 'mptcp', { found, none, spilled }: Ways): Code {
  return [find, is.ne(r0, 0).jump(found), enter(context, origin, found, none, { isReturn: true }), ja(spilled)]
}

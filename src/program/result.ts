import { and, atomicAdd, type Code, ja, jeq, jne, jset, jsle32, label, load, note, r0, r1, r10, r2, r6, store } from '../../bpf-asm/index.js'
import { Value } from '../layout.js'
import { chargeCurrent, leave, type Moved, rx, tx } from './charge.js'
import { amount, type Call, type Context, flow, ifRedirected, protocol, stack } from './context.js'
import { enter } from './enter.js'
import { admit, choosesProcesses } from './filter.js'
import { typed } from './typed.js'

/** `MSG_OOB`: the urgent byte. `MSG_PEEK | MSG_ERRQUEUE`: not taken out of the receive queue, or no data (include/linux/socket.h). */
const urgent = 0x1
const notTaken = 0x2 | 0x2000

/** The return of `mptcp_sendmsg(sk, …)`: charges its value. */
export function sentTo(context: Context, call: Call): Code {
  return byResult(context, call, tx, returned(context))
}

/** The return of `mptcp_recvmsg(sk, …, flags, …)`: charges its value. */
export function receivedFrom(context: Context, call: Call): Code {
  return byResult(context, call, rx, returned(context))
}

/** The return of `tcp_bpf_sendmsg(sk, …)`, by which a process gives bytes to a sockmap: charges its value. */
export function sentToMap(context: Context, call: Call): Code {
  return byResult(context, call, tx, entryOf(context))
}

/** The return of `tcp_bpf_recvmsg` or `tcp_bpf_recvmsg_parser`, by which it takes bytes out of one: charges its value. */
export function receivedFromMap(context: Context, call: Call): Code {
  return byResult(context, call, rx, entryOf(context))
}

/**
 * `trace_sock_recv_length(sk, ret, flags)`, since 6.3: charges what the caller received when its sequence numbers do not tell: from a socket
 * of MPTCP, from one in a sockmap, and an urgent byte.
 */
export function received(context: Context): Code {
  const { field, access } = context
  return [
    load(amount, 'u32', r1, 8),
    jsle32(amount, 0, 'exit'),
    load(r6, 'u64', r1, 0),
    load(r2, 'u32', r1, 16),
    jset(r2, notTaken, 'exit'),
    and(r2, urgent),
    store('u64', r10, stack.received, r2),
    access.read(r1, field.protocol, r6),
    jeq(r1, protocol.mptcp, 'mptcp'),
    jne(r1, protocol.tcp, 'exit'),
    jne(r2, 0, 'tcp'),
    ifRedirected(context, r6, 'tcp'),
    ja('exit'),
    label('tcp'),
    entryOf(context, 'spilled'),
    label('counted'),
    load(r1, 'u64', r10, stack.received),
    jeq(r1, 0, 'charge'),
    note('the stream will come to it', atomicAdd('u64', flow, Value.rxSeen, amount)),
    label('charge'),
    chargeCurrent(context, rx),
    label('exit'),
    leave(),
    label('spilled'),
    load(r1, 'u64', r10, stack.received),
    jeq(r1, 0, 'unattributed'),
    note('the stream will come to it', atomicAdd('u64', flow, Value.rxSeen, amount)),
    ja('unattributed'),
    label('mptcp'),
    returned(context),
    label('unattributed'),
    loseCurrent(context),
  ]
}

/** Charges the result of a call to the entry that `look` finds for the socket in r6. */
function byResult(context: Context, call: Call, moved: Moved, look: Code): Code {
  const flags = call.argument('flags')
  return [
    load(amount, 'u32', r1, call.result),
    jsle32(amount, 0, 'exit'),
    moved === tx || flags === undefined ? [] : [load(r2, 'u32', r1, flags), jset(r2, notTaken, 'exit')],
    load(r6, 'u64', r1, call.first),
    look,
    label('counted'),
    chargeCurrent(context, moved),
    label('exit'),
    leave(),
    label('unattributed'),
    loseCurrent(context),
  ]
}

/** Finds or makes the entry of r6, a TCP socket whose own counters do not tell what a process moved. */
function entryOf(context: Context, spilled = 'unattributed'): Code {
  const { access } = context
  return [
    access.asTcp(r6, 'exit'),
    access.find(),
    jne(r0, 0, 'counted'),
    enter(context, 'receiving', { found: 'counted', spilled, none: 'exit' }, { isReturn: true }),
  ]
}

/** Charges the whole of `amount`, the return value of a call on an MPTCP socket, whose own counters mean other things. */
export function returned(context: Context): Code {
  return [
    typed(context.field).findMptcp(),
    jne(r0, 0, 'counted'),
    enter(context, 'mptcp', { found: 'counted', spilled: 'unattributed', none: 'exit' }),
  ]
}

/** Counts `moved` as lost, if the current process is wanted. */
export function loseCurrent(context: Context): Code {
  return [
    choosesProcesses(context.filter) ? [context.access.current(), admit(context, 'exit', 'admit_lost')] : [],
    ja('lose'),
  ]
}

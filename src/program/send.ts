import { and, type Code, ja, jeq, jeq32, jne, jsle32, label, load, note, r0, r1, r6, r9, store } from '../../bpf-asm/index.js'
import { Value } from '../layout.js'
import { chargeCurrent, leave, nobody, tx } from './charge.js'
import { amount, type Call, type Context, flow, ifRedirected, protocol, socket } from './context.js'
import { queued, takeQueued } from './counter.js'
import { enter, unlessDead } from './enter.js'
import { present } from './field.js'
import { countInPocket, sentFromPocket, settle } from './pocket.js'
import { loseCurrent, returned } from './result.js'

/** `trace_sock_send_length(sk, ret, flags)`, since 6.3, after the lock is released: charges what the caller sent. */
export function sent(context: Context): Code {
  const { field, access } = context
  return [
    note('the return value: nothing sent, nothing to do', load(amount, 'u32', r1, 8)),
    jsle32(amount, 0, 'exit'),
    load(r6, 'u64', r1, 0),
    access.read(r1, field.protocol, r6),
    jne(r1, protocol.tcp, 'mptcp'),
    access.asTcp(r6, 'exit'),
    access.find(),
    jeq(r0, 0, 'enter'),
    label('found'),
    ifRedirected(context, socket, 'redirected'),
    takeQueued(context, 'exit'),
    label('counted'),
    chargeCurrent(context, tx),
    label('exit'),
    leave(),
    label('redirected'),
    queued(context),
    note('what it queued itself, if anything, is in the return value', store('u64', flow, Value.txSeen, r1)),
    ja('counted'),
    label('enter'),
    enter(context, 'sending', { found: 'found', spilled: 'spilled', none: 'exit' }),
    label('spilled'),
    takeQueued(context, 'exit', { name: 'spill' }),
    label('unattributed'),
    loseCurrent(context),
    label('mptcp'),
    jne(r1, protocol.mptcp, 'exit'),
    returned(context),
  ]
}

/** `MSG_SPLICE_PAGES` (include/linux/socket.h, since 6.5): pages to send come from inside the kernel. */
const splicePages = 0x8000000

/**
 * The return of `tcp_sendmsg_locked(sk, msg, size)` or `do_tcp_sendpages(sk, page, …)`, under the lock: charges what the caller sent.
 * What a sockmap sends on comes here too, as pages; the call that gave it to the sockmap is charged for it.
 */
export function sentLocked(context: Context, call: Call): Code {
  const { field, access } = context
  const msg = call.argument('msg')
  return [
    note('the return value: nothing sent, nothing to do', load(amount, 'u32', r1, call.result)),
    jsle32(amount, 0, 'exit'),
    load(r6, 'u64', r1, call.first),
    msg === undefined ? [] : load(r9, 'u64', r1, msg),
    access.asTcp(r6, 'exit', { sure: true }),
    ifRedirected(context, socket, 'redirected'),
    label('plain'),
    countInPocket(context, sentFromPocket(context), tx),
    access.find(),
    jeq(r0, 0, 'enter'),
    settle(context, 'known'),
    label('found'),
    takeQueued(context, 'exit'),
    chargeCurrent(context, tx, { pockets: context.pocket }),
    label('exit'),
    leave(),
    label('enter'),
    enter(context, 'sending', { found: 'found', spilled: 'spilled', none: 'exit' }),
    label('spilled'),
    takeQueued(context, 'exit', { name: 'spill' }),
    loseCurrent(context),
    label('redirected'),
    msg === undefined ? [] : [
      access.read(r1, present(field, 'msgFlags'), r9),
      and(r1, splicePages),
      jeq(r1, 0, 'plain'),
    ],
    access.find(),
    jeq(r0, 0, 'exit'),
    settle(context, 'redirected'),
    queued(context),
    store('u64', flow, Value.txSeen, r1),
    leave(),
  ]
}

/**
 * `trace_net_dev_queue(skb)`: a packet leaves, in the context of the process that sends it if that holds the socket's lock. Charges all
 * that was queued until now; what a call queues after its last packet is seen at the next one, which may be the kernel's. When that is the
 * first one, nobody is known to have sent yet: it waits for the next packet of a process, or its close.
 */
export function transmitted(context: Context): Code {
  const { field, access } = context
  return [
    load(r9, 'u64', r1, 0),
    access.read(r6, field.skbSk, r9),
    jeq(r6, 0, 'exit'),
    access.asTcp(r6, 'exit'),
    access.find(),
    jeq(r0, 0, 'enter'),
    access.unlessStale('enter'),
    label('found'),
    access.read(r1, field.owned, socket),
    jne(r1, 0, 'attended'),
    note('without an owner the lock is the kernel’s', load(r1, 'u32', flow, Value.last)),
    jeq32(r1, nobody, 'exit'),
    label('attended'),
    takeQueued(context, 'exit', { bounded: false }),
    access.read(r1, field.owned, socket),
    jeq(r1, 0, 'unattended'),
    chargeCurrent(context, tx),
    label('exit'),
    leave(),
    label('enter'),
    access.read(r1, field.owned, socket),
    note('the kernel’s, and of nobody’s', jeq(r1, 0, 'exit')),
    unlessDead(context, 'exit'),
    enter(context, 'used', { found: 'found', spilled: 'spilled', none: 'exit' }),
    label('spilled'),
    takeQueued(context, 'exit', { name: 'spill', bounded: false }),
    loseCurrent(context),
  ]
}

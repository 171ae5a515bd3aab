import { aside, type Code, is, ja, label, leave, load, not, note, place, r1, r9, when } from '../../bpf-asm/index.js'
import { chargeOf, loseCurrent } from './charge.js'
import type { Call, Context } from './context.js'
import { queued, takeQueued } from './counter.js'
import { enter, unlessDead } from './enter.js'
import { nobody } from './entry.js'
import { present } from './field.js'
import { findFlow, withFlow } from './flow.js'
import { amount, flow, program, socket } from './frame.js'
import { message, protocol } from './kernel.js'
import { tx } from './moved.js'
import { ifRedirected, lookMptcp } from './result.js'
import { countInSlot, findSlot, queuedInSlot, slot } from './slot.js'

/** `trace_sock_send_length(sk, ret, flags)`, since 6.3, after the lock is released: charges what the caller sent. */
export function sent(context: Context): Code {
  const { field, access } = context
  const { current, lost } = chargeOf(context, tx)
  const [counted, unattributed] = [place('counted'), place('unattributed')]
  return program(exit => {
    const mptcp = aside('mptcp', () => [
      is.ne(r1, protocol.mptcp).jump(exit),
      lookMptcp(context, { found: counted, none: exit, spilled: unattributed }),
    ])
    const redirected = aside('redirected', () => [
      queued(context),
      note('what it queued itself, if anything, is in the return value', flow.txSeen.store(r1)),
      ja(counted),
    ])
    return [
      note('the return value: nothing sent, nothing to do', load(amount, 'u32', r1, 8)),
      is.sle32(amount, 0).jump(exit),
      load(socket, 'u64', r1, 0),
      access.read(r1, field.protocol, socket),
      is.ne(r1, protocol.tcp).jump(mptcp),
      access.asTcp(socket, exit),
      withFlow(context, {
        make: known => enter(context, 'sending', known, exit),
        found: [ifRedirected(context, socket, redirected), takeQueued(context, exit), label(counted), current],
        spilled: [takeQueued(context, exit), label(unattributed), loseCurrent(context, lost, exit)],
      }),
    ]
  })
}

/**
 * The return of `tcp_sendmsg_locked(sk, msg, size)` or `do_tcp_sendpages(sk, page, …)`, under the lock: charges what the caller sent.
 * What a sockmap sends on comes here too, as pages; the call that gave it to the sockmap is charged for it.
 */
export function sentLocked(context: Context, call: Call): Code {
  const { field, access } = context
  const { current, lost } = chargeOf(context, tx, { makesSlot: context.slots })
  const msg = call.argument('msg')
  const plain = place('plain')
  return program(exit => {
    const redirected = aside('redirected', () => [
      msg === undefined ? [] : [
        access.read(r1, present(field, 'msgFlags'), r9),
        not(is.set(r1, message.splicePages)).jump(plain),
      ],
      findFlow(context, exit),
      queued(context),
      flow.txSeen.store(r1),
      leave(),
    ])
    return [
      note('the return value: nothing sent, nothing to do', load(amount, 'u32', r1, call.result)),
      is.sle32(amount, 0).jump(exit),
      load(socket, 'u64', r1, call.first),
      msg === undefined ? [] : load(r9, 'u64', r1, msg),
      access.asTcp(socket, exit, { sure: true }),
      ifRedirected(context, socket, redirected),
      label(plain),
      countInSlot(context, without => [findSlot(context, without), queuedInSlot(context, without), tx(slot), leave()]),
      withFlow(context, {
        make: known => enter(context, 'sending', known, exit),
        found: [takeQueued(context, exit), current],
        spilled: [takeQueued(context, exit), loseCurrent(context, lost, exit)],
      }),
    ]
  })
}

/**
 * `trace_net_dev_queue(skb)`: a packet leaves, in the context of the process that sends it if that holds the socket's lock. Charges all
 * that was queued until now; what a call queues after its last packet is seen at the next one, which may be the kernel's. If no process is known to
 * have sent before that, it waits for the next packet of a process, or its close.
 */
export function transmitted(context: Context): Code {
  const { field, access } = context
  const { current, last, lost } = chargeOf(context, tx)
  return program(exit => {
    const take = () => takeQueued(context, exit, { bounded: false })
    return [
      load(r9, 'u64', r1, 0),
      access.read(socket, field.skbSk, r9),
      is.eq(socket, 0).jump(exit),
      access.asTcp(socket, exit),
      withFlow(context, {
        make: known => [
          access.read(r1, field.owned, socket),
          note('the kernel’s, and no process is known', is.eq(r1, 0).jump(exit)),
          unlessDead(context, exit),
          enter(context, 'used', known, exit),
        ],
        found: [
          access.read(r1, field.owned, socket),
          when(is.eq(r1, 0), [
            note('without an owner the lock is the kernel’s', flow.last.load(r1)),
            is.eq32(r1, nobody).jump(exit),
          ]),
          take(),
          access.read(r1, field.owned, socket),
          is.eq(r1, 0).jump(last),
          current,
        ],
        spilled: [take(), loseCurrent(context, lost, exit)],
      }),
    ]
  })
}

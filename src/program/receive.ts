import { type Code, jeq, label, load, note, r0, r1, r6, store } from '../../bpf-asm/index.js'
import { Value } from '../layout.js'
import { chargeCurrent, leave, rx } from './charge.js'
import { amount, type Context, flow, ifRedirected, socket } from './context.js'
import { consumed, takeConsumed } from './counter.js'
import { enter } from './enter.js'
import { countInPocket, receivedFromPocket, settle } from './pocket.js'
import { loseCurrent } from './result.js'

/** `trace_tcp_rcv_space_adjust(sk)`, under the lock: charges what the reader took out of the receive queue. */
export function consumedBy(context: Context): Code {
  const { field, access } = context
  return [
    load(r6, 'u64', r1, 0),
    access.asTcp(r6, 'exit', { sure: true }),
    context.pocket ? ifRedirected(context, socket, 'unpocketed') : [],
    countInPocket(context, receivedFromPocket(context, 'exit'), rx),
    access.find(),
    jeq(r0, 0, 'enter'),
    settle(context, 'known'),
    access.unlessStale('enter'),
    label('found'),
    ifRedirected(context, socket, 'redirected'),
    consumed(context),
    takeConsumed(context, 'exit'),
    access.read(r1, field.owned, socket),
    note('without an owner the lock is the kernel’s', jeq(r1, 0, 'unattended')),
    chargeCurrent(context, rx, { pockets: context.pocket }),
    label('exit'),
    leave(),
    label('enter'),
    enter(context, 'receiving', { found: 'found', spilled: 'spilled', none: 'exit' }),
    label('spilled'),
    consumed(context, 'spill'),
    takeConsumed(context, 'exit', amount, 'spill_consumed'),
    loseCurrent(context),
    !context.calls ? [] : [
      label('redirected'),
      consumed(context, 'redirected'),
      note('what the caller gets is in the return value', store('u64', flow, Value.rxSeen, r1)),
      leave(),
    ],
  ]
}

import { type Code, jeq, label, load, mov, note, or, r0, r1, r10, store } from '../../bpf-asm/index.js'
import { both, chargeCurrent, leave } from './charge.js'
import { amount, type Call, type Context, socket, stack } from './context.js'
import { consumed, consumedUrgent, takeConsumed, takeQueued } from './counter.js'
import { enter, unlessDead } from './enter.js'
import { unlessFastOpen } from './mptcp.js'
import { countInPocket, movedFromPocket, settle } from './pocket.js'
import { loseCurrent } from './result.js'

/**
 * The entry of `release_sock(sk)`, where a process lets go of a socket whose lock it still holds: charges what it moved since. Comes at the
 * end of every call on a socket, of any protocol, and whenever one goes to sleep; mostly nothing was moved.
 */
export function released(context: Context, call: Call): Code {
  const { access, field } = context
  return [
    load(socket, 'u64', r1, call.first),
    countInPocket(context, movedFromPocket(context, 'exit'), both),
    access.find(),
    jeq(r0, 0, 'unknown'),
    settle(context, 'known'),
    access.refresh(),
    access.unlessStale('unknown'),
    label('found'),
    moved(context, 'exit', 'moved'),
    chargeCurrent(context, both, { pockets: context.pocket }),
    label('exit'),
    leave(),
    label('unknown'),
    access.asTcp(socket, 'exit'),
    unlessFastOpen(context, 'exit'),
    access.read(r1, field.dport, socket),
    note('not connected, or listening', jeq(r1, 0, 'exit')),
    unlessDead(context, 'exit'),
    enter(context, 'used', { found: 'found', spilled: 'spilled', none: 'exit' }),
    label('spilled'),
    moved(context, 'exit', 'spill'),
    loseCurrent(context),
  ]
}

/** `amount =` what was sent, and on the stack what was received, of which nobody was charged; goes to `none` when it is nothing. */
function moved(context: Context, none: string, name: string): Code {
  const to = (part: string) => `${name}_${part}`
  return [
    store('u64', r10, stack.received, 0),
    mov(amount, 0),
    consumed(context, to('rx')),
    consumedUrgent(context, to('urgent')),
    takeConsumed(context, to('sent'), r1, to('consumed')),
    store('u64', r10, stack.received, r1),
    label(to('sent')),
    takeQueued(context, to('both'), { name: to('tx'), bounded: false }),
    label(to('both')),
    load(r1, 'u64', r10, stack.received),
    or(r1, amount),
    jeq(r1, 0, none),
  ]
}

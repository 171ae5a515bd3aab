import { block, type Code, is, leave, load, mov, note, or, type Place, r1 } from '../../bpf-asm/index.js'
import { chargeOf, loseCurrent } from './charge.js'
import type { Call, Context } from './context.js'
import { consumed, consumedUrgent, takeConsumed, takeQueued } from './counter.js'
import { enter, unlessDead } from './enter.js'
import { findFlow, withFlow } from './flow.js'
import { amount, program, socket, stack } from './frame.js'
import { both } from './moved.js'
import { unlessFastOpen } from './mptcp.js'
import { countInSlot, findSlot, movedInSlot, slot } from './slot.js'

/**
 * The entry of `release_sock(sk)`, where a process releases a socket whose lock it still holds: charges what it moved since. Every call on a socket, of
 * any protocol, ends with it, and so does any wait for one; mostly nothing was moved.
 */
export function released(context: Context, call: Call): Code {
  const { access, field } = context
  const { current, lost } = chargeOf(context, both, { makesSlot: context.slots })
  return program(exit => [
    load(socket, 'u64', r1, call.first),
    countInSlot(context, without => [findSlot(context, without), movedInSlot(context, without, exit), both(slot), leave()]),
    withFlow(context, {
      find: unknown => findFlow(context, unknown, access.refresh()),
      make: known => [
        access.asTcp(socket, exit),
        unlessFastOpen(context, exit),
        access.read(r1, field.dport, socket),
        note('not connected, or listening', is.eq(r1, 0).jump(exit)),
        unlessDead(context, exit),
        enter(context, 'used', known, exit),
      ],
      found: [takeMoved(context, exit), current],
      spilled: [takeMoved(context, exit), loseCurrent(context, lost, exit)],
    }),
  ])
}

/** `amount =` what was sent and `stack.received =` what was received that no process was charged for; leaves for `none` when both are zero. */
function takeMoved(context: Context, none: Place): Code {
  return [
    stack.received.store(0),
    mov(amount, 0),
    block('sent', sent => [
      consumed(context),
      consumedUrgent(context),
      takeConsumed(context, sent, r1),
      stack.received.store(r1),
    ]),
    block('both', both => takeQueued(context, both, { bounded: false })),
    stack.received.load(r1),
    or(r1, amount),
    is.eq(r1, 0).jump(none),
  ]
}

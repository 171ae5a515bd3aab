import { aside, type Code, is, leave, load, note, r1 } from '../../bpf-asm/index.js'
import { chargeOf, loseCurrent } from './charge.js'
import type { Context } from './context.js'
import { consumed, takeConsumed } from './counter.js'
import { enter } from './enter.js'
import { withFlow } from './flow.js'
import { flow, program, socket } from './frame.js'
import { rx } from './moved.js'
import { ifRedirected } from './result.js'
import { consumedInSlot, countInSlot, findSlot, slot } from './slot.js'

/** `trace_tcp_rcv_space_adjust(sk)`, under the lock: charges what the reader took out of the receive queue. */
export function consumedBy(context: Context): Code {
  const { field, access } = context
  const { current, last, lost } = chargeOf(context, rx, { makesSlot: context.slots })
  return program(exit => {
    const take = () => [consumed(context), takeConsumed(context, exit)]
    const redirected = aside('redirected', () => [
      consumed(context),
      note('what the caller gets is in the return value', flow.rxSeen.store(r1)),
      leave(),
    ])
    return [
      load(socket, 'u64', r1, 0),
      access.asTcp(socket, exit, { sure: true }),
      countInSlot(context, without => [
        ifRedirected(context, socket, without),
        findSlot(context, without),
        consumedInSlot(context, without, exit),
        rx(slot),
        leave(),
      ]),
      withFlow(context, {
        make: known => enter(context, 'receiving', known, exit),
        found: [
          ifRedirected(context, socket, redirected),
          take(),
          access.read(r1, field.owned, socket),
          note('without an owner the lock is the kernel’s', is.eq(r1, 0).jump(last)),
          current,
        ],
        spilled: [take(), loseCurrent(context, lost, exit)],
      }),
    ]
  })
}

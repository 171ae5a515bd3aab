import {
  add, all, and, arsh, block, type Code, is, ja, loop, lsh, mov, note, type Place, r0, r1, r2, r3, r4, r5, type Register, sub, sub32, unless, when,
} from '../../bpf-asm/index.js'
import { type Context, isAlone } from './context.js'
import { unknownEnd } from './entry.js'
import { present } from './field.js'
import { amount, flow, socket, stack } from './frame.js'
import { bits, isIn, socketDone, state, urgentRead } from './kernel.js'

/** States in which a process may send. In SYN_SENT the first sequence number is not known yet. */
const sending = bits(state.established, state.closeWait, state.synRecv)
/** States in which `write_seq` includes a FIN that was sent. */
export const finSent = bits(state.finWait1, state.finWait2, state.timeWait, state.lastAck, state.closing)

/** Runs `body` again up to 16 times. Leaves the tries that are left in r5. */
const repeating = (body: (again: Place) => Code) => [note('tries, if other CPUs are faster', mov(r5, 16)), loop('again', body)]
/** One try was in vain: another one, or `last` when there are no more. */
const nextTry = (again: Place, last: Code) => [sub(r5, 1), is.ne(r5, 0).jump(again), last]

/**
 * `r1 =` all bytes ever queued on `socket`, `r3 =` its state: `bytes_acked + (write_seq - snd_una)`, less the FIN.
 *
 * Every ACK advances both counters together (tcp_snd_una_update), so `snd_una - bytes_acked` is constant while the connection lives: `isn`. With it,
 * only `write_seq` has to be read exactly and no lock is needed: `bytes_acked` supplies the upper half. Read the state last: `write_seq` includes the
 * FIN only after the state says so. On weakly ordered CPUs (arm64) an address dependency keeps the two loads in order.
 */
export function queued({ field, access, locked }: Context, { racing = !locked } = {}): Code {
  return [
    access.read(r1, field.bytesAcked, socket),
    access.read(r2, field.writeSeq, socket),
    flow.isn.load(r3),
    sub32(r2, r3),
    sub32(r2, r1),
    racing ? [lsh(r2, 32), arsh(r2, 32)] : [],
    note('r1: every byte ever queued', add(r1, r2)),
    locked ? access.read(r3, field.state, socket) : [and(r2, 0), add(r2, socket), access.read(r3, field.state, r2)],
  ]
}

/**
 * Takes the FIN off r1, when r3 is a state in which one was sent. A closed socket does not say: most sent one (`even`), unless nothing was queued at
 * all. Clobbers r4.
 */
export function lessFin(even?: 'closed'): Code {
  const states = finSent | (even === 'closed' ? bits(state.close) : 0)
  return when(all(...even === 'closed' ? [is.ne(r1, 0)] : [], isIn(states, r3, r4)), note('less the FIN', sub(r1, 1)))
}

/** `r1 =` all bytes that `socket` ever queued, or did until its connection ended; leaves for `none` when that is not known. Clobbers r2 to r4. */
function queuedInAll(context: Context, none: Place, isAnew: boolean): Code {
  const { field, access } = context
  return block('total', total => [
    queued(context),
    is.eq(r3, state.established).jump(total),
    isIn(sending, r3, r4).jump(total),
    when(is.set(r4, finSent), [note('less the FIN', sub(r1, 1)), ja(total)]),
    note('not connected: what was queued when it was', flow.txEnd.load(r3)),
    when(is.eq(r3, unknownEnd), isAnew ? note('its end was missed', ja(none)) : [
      note('its end was missed: is it still the same connection', access.read(r3, field.sndUna, socket)),
      access.read(r4, field.bytesAcked, socket),
      sub32(r3, r4),
      flow.isn.load(r4),
      is.ne32(r3, r4).jump(none),
      note('less the FIN, which most have sent', sub(r1, 1)),
      ja(total),
    ]),
    mov(r1, r3),
  ])
}

/**
 * `amount =` what `socket` queued and no process was charged for, at most `amount` if it is `bounded`; it counts as charged from here on. Leaves for
 * `none` when there is nothing. Without the lock, or with an audit, several CPUs may do this at once.
 *
 * The bound leaves the bytes of other calls under way to those. Under the lock another call can only be in the middle of a send if it sleeps there
 * (`sk_write_pending`: sk_stream_wait_memory and sk_stream_wait_connect of net/core/stream.c). If none does, everything uncharged is what programs
 * missed, and is taken too.
 *
 * A socket that connects again (`isAnew`) was disconnected, which advances `write_seq` by more than a window (tcp_disconnect, net/ipv4/tcp.c): then
 * only an end that was seen says what was queued.
 */
export function takeQueued(context: Context, none: Place, { bounded = true, isAnew = false } = {}): Code {
  const { field, access, locked } = context
  const total = queuedInAll(context, none, isAnew)
  const othersSend = locked && bounded ? [is.ne32(r3, 0).after(access.read(r3, present(field, 'writePending'), socket))] : []
  /** `r2 =` what is to be taken of the r1 bytes, of which r0 are charged. */
  const uncharged = [
    mov(r2, r1),
    sub(r2, r0),
    is.sle(r2, 0).jump(none),
    !bounded ? [] : when(all(is.gt(r2, amount), ...othersSend), note('other sends are under way: take only our part', mov(r2, amount))),
  ]
  if (isAlone(context)) return [total, flow.txSeen.load(r0), uncharged, add(r0, r2), flow.txSeen.store(r0), mov(amount, r2)]
  const take = (again: Place) => [
    uncharged,
    mov(r3, r0),
    add(r3, r2),
    mov(r4, r0),
    flow.txSeen.compareExchange(r3),
    unless(is.eq(r0, r4), nextTry(again, mov(r2, 0))),
    mov(amount, r2),
    is.eq(amount, 0).jump(none),
  ]
  return locked ? [total, repeating(again => [flow.txSeen.load(r0), take(again)])] : repeating(again => [
    note('read first: what others queue and charge after this does not reduce ours', flow.txSeen.load(r0)),
    total,
    take(again),
  ])
}

/**
 * `r1 =` all bytes ever consumed from `socket`: `bytes_received - (rcv_nxt - copied_seq)`, less the FIN once that is consumed too. r2 is
 * `copied_seq`. Without the lock (`racing`) `copied_seq` may have passed the `rcv_nxt` that was read.
 */
export function consumed({ field, access }: Context, { racing = false } = {}): Code {
  return [
    access.read(r1, field.bytesReceived, socket),
    access.read(r3, field.rcvNxt, socket),
    access.read(r2, field.copiedSeq, socket),
    sub32(r3, r2),
    racing ? [lsh(r3, 32), arsh(r3, 32)] : [],
    note('r1: every byte ever consumed', sub(r1, r3)),
    when(all(is.eq(r3, 0), is.set(r3, socketDone).after(access.read(r3, field.flags, socket))), note('less the FIN', sub(r1, 1))),
  ]
}

/**
 * Adds to r1 the urgent byte that recv(MSG_OOB) delivered before the stream reached it (tcp_recv_urg); once the stream passes it, `copied_seq`
 * includes it. r2 is `copied_seq`.
 */
export function consumedUrgent({ field, access }: Context): Code {
  return when(all(
    is.eq(r3, urgentRead).after(access.read(r3, field.urgData, socket)),
    is.sle32(r2, 0).after(access.read(r3, field.urgSeq, socket), sub32(r2, r3)),
  ), add(r1, 1))
}

/**
 * `taken =` what of the r1 bytes consumed no process was charged for; leaves for `none` without any. The lock is held, but an urgent byte may be
 * counted without it where calls are seen when they have returned, and the audit charges without it.
 */
export function takeConsumed(context: Context, none: Place, taken: Register = amount): Code {
  const uncharged = [sub(r1, r2), is.sle(r1, 0).jump(none)]
  return [
    isAlone(context) ? [flow.rxSeen.load(r2), mov(r3, r1), uncharged, flow.rxSeen.store(r3)] : [
      mov(r3, r1),
      repeating(again => [
        flow.rxSeen.load(r0),
        mov(r1, r3),
        mov(r2, r0),
        uncharged,
        flow.rxSeen.compareExchange(r3),
        unless(is.eq(r0, r2), nextTry(again, ja(none))),
      ]),
    ],
    taken === r1 ? [] : mov(taken, r1),
  ]
}

/** `r1 = snd_una - bytes_acked`: see `queued`. Without the lock (`racing`) read until it is the same twice. */
export function firstSequence({ field, access }: Context, { racing = true } = {}): Code {
  const isn = [access.read(r2, field.bytesAcked, socket), access.read(r1, field.sndUna, socket), sub32(r1, r2)]
  if (!racing) return isn
  return block('isn', same => [
    isn,
    Array.from({ length: 8 }, () => [
      stack.scratch.id.store(r1),
      access.refresh(),
      isn,
      stack.scratch.id.load(r2),
      is.eq32(r1, r2).jump(same),
    ]),
  ])
}

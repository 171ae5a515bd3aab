import {
  add, and, arsh, type Code, cmpxchg, ja, jeq, jeq32, jne, jne32, jsle, jle, jset, jsgt32, label, load, lsh, mov, note, r0, r1, r10, r2,
  r3, r4, r5, type Register, store, sub, sub32,
} from '../../bpf-asm/index.js'
import { Value } from '../layout.js'
import { amount, bits, type Context, flow, isAlone, socket, stack, state } from './context.js'
import { present } from './field.js'

/** `SOCK_DONE` of `enum sock_flags` (include/net/sock.h): the peer's FIN has arrived. */
const sockDone = 1 << 1
/** `TCP_URG_READ` (include/net/tcp.h): the urgent byte was delivered by recv(MSG_OOB). */
export const urgentRead = 0x0400

/** `Value.txEnd` while no end was seen, as a signed immediate. */
export const unknownEnd = -1
/** States in which a process may send. In SYN_SENT the first sequence number is not known yet. */
const sending = bits(state.established, state.closeWait, state.synRecv)
/** States in which the FIN that was sent last counts in `write_seq`. */
export const finSent = bits(state.finWait1, state.finWait2, state.timeWait, state.lastAck, state.closing)

/**
 * `r1 =` all bytes ever queued on `socket`, `r3 =` its state: `bytes_acked + (write_seq - snd_una)`, less the FIN.
 *
 * Both counters advance together with every ACK (tcp_snd_una_update), so `snd_una - bytes_acked` is the same all the
 * connection's life: `isn`. With it there is one word to read that changes at both ends, and no lock is needed: `bytes_acked` only tells the upper
 * half. The state is read last, for a FIN is counted only after the state has told of it: where a processor may read in another order
 * (arm64), it takes an address that depends on what is to be read before.
 */
export function queued({ field, access, locked }: Context, { racing = !locked } = {}): Code {
  return [
    access.read(r1, field.bytesAcked, socket),
    access.read(r2, field.writeSeq, socket),
    load(r3, 'u32', flow, Value.isn),
    sub32(r2, r3),
    sub32(r2, r1),
    racing ? [lsh(r2, 32), arsh(r2, 32)] : [],
    note('r1: every byte ever queued', add(r1, r2)),
    locked ? access.read(r3, field.state, socket) : [and(r2, 0), add(r2, socket), access.read(r3, field.state, r2)],
  ]
}

/**
 * Takes the FIN off r1, when r3 is a state in which one was sent. Of a socket that is closed already that is not known: in most cases
 * one was (`even`), unless nothing was queued at all. Clobbers r4.
 */
export function lessFin(name: string, even?: 'closed'): Code {
  const states = finSent | (even === 'closed' ? bits(state.close) : 0)
  return [
    even === 'closed' ? jeq(r1, 0, name) : [],
    mov(r4, 1),
    lsh(r4, r3),
    and(r4, states),
    jeq(r4, 0, name),
    note('less the FIN', sub(r1, 1)),
    label(name),
  ]
}

/**
 * `amount =` what `socket` queued and nobody was charged with, at most what `amount` holds if it is a bound; it counts as charged
 * from here on. Goes to `none` when there is nothing. Where no lock is held, or the audit may run, several processors may do this at once.
 *
 * The bound keeps the bytes of other calls that are under way for these. Under the lock no other call can be in the middle of a send
 * unless it sleeps there (`sk_write_pending`: sk_stream_wait_memory and sk_stream_wait_connect of net/core/stream.c); without such a one
 * everything uncharged is what programs missed, and is taken too.
 *
 * A socket that connects once more (`isAnew`) was disconnected, which moves `write_seq` on by more than a window (tcp_disconnect, net/ipv4/tcp.c):
 * then only an end that was seen says what was queued.
 */
export function takeQueued(context: Context, none: string, { name = 'tx', bounded = true, isAnew = false } = {}): Code {
  const { field, access, locked } = context
  const tries = [note('tries, should others be faster', mov(r5, 16)), label(`${name}_again`)]
  const uncharged = [
    locked ? load(r0, 'u64', flow, Value.txSeen) : [],
    mov(r2, r1),
    sub(r2, r0),
    jsle(r2, 0, none),
    bounded ? [
      jle(r2, amount, `${name}_whole`),
      locked ? [access.read(r3, present(field, 'writePending'), socket), jeq32(r3, 0, `${name}_whole`)] : [],
      note('others’ sends are under way: take our own part', mov(r2, amount)),
      label(`${name}_whole`),
    ] : [],
  ]
  return [
    locked ? [] : [
      tries,
      note('read first: what others queue and charge after that is no less of what is ours', load(r0, 'u64', flow, Value.txSeen)),
    ],
    queued(context),
    jeq(r3, state.established, `${name}_open`),
    mov(r4, 1),
    lsh(r4, r3),
    jset(r4, sending, `${name}_open`),
    and(r4, finSent),
    jeq(r4, 0, `${name}_ended`),
    note('less the FIN', sub(r1, 1)),
    ja(`${name}_open`),
    label(`${name}_ended`),
    note('not connected: what was queued when it was', load(r3, 'u64', flow, Value.txEnd)),
    jne(r3, unknownEnd, `${name}_kept`),
    isAnew ? note('its end was missed', ja(none)) : [
      note('its end was missed: if it is still the same connection', access.read(r3, field.sndUna, socket)),
      access.read(r4, field.bytesAcked, socket),
      sub32(r3, r4),
      load(r4, 'u32', flow, Value.isn),
      jne32(r3, r4, none),
      note('less the FIN, which most have sent', sub(r1, 1)),
      ja(`${name}_open`),
    ],
    label(`${name}_kept`),
    mov(r1, r3),
    label(`${name}_open`),
    isAlone(context) ? [
      uncharged,
      add(r0, r2),
      store('u64', flow, Value.txSeen, r0),
      mov(amount, r2),
    ] : [
      locked ? tries : [],
      uncharged,
      mov(r3, r0),
      add(r3, r2),
      mov(r4, r0),
      cmpxchg('u64', flow, Value.txSeen, r3),
      jeq(r0, r4, `${name}_taken`),
      sub(r5, 1),
      jne(r5, 0, `${name}_again`),
      mov(r2, 0),
      label(`${name}_taken`),
      mov(amount, r2),
      jeq(amount, 0, none),
    ],
  ]
}

/**
 * `r1 =` all bytes ever consumed from `socket`: `bytes_received - (rcv_nxt - copied_seq)`, less the FIN once that is consumed too. r2 is
 * `copied_seq`. Without the lock (`racing`) `copied_seq` may have passed the `rcv_nxt` that was read.
 */
export function consumed({ field, access }: Context, name = 'rx', { racing = false } = {}): Code {
  return [
    access.read(r1, field.bytesReceived, socket),
    access.read(r3, field.rcvNxt, socket),
    access.read(r2, field.copiedSeq, socket),
    sub32(r3, r2),
    racing ? [lsh(r3, 32), arsh(r3, 32)] : [],
    note('r1: every byte ever consumed', sub(r1, r3)),
    jne(r3, 0, `${name}_known`),
    access.read(r3, field.flags, socket),
    and(r3, sockDone),
    jeq(r3, 0, `${name}_known`),
    note('less the FIN', sub(r1, 1)),
    label(`${name}_known`),
  ]
}

/**
 * Adds to r1 the urgent byte that recv(MSG_OOB) delivered while the stream had not come to it yet (tcp_recv_urg); when the
 * stream passes it, `copied_seq` counts it. r2 is `copied_seq`.
 */
export function consumedUrgent({ field, access }: Context, name: string): Code {
  return [
    access.read(r3, field.urgData, socket),
    jne(r3, urgentRead, name),
    access.read(r3, field.urgSeq, socket),
    sub32(r2, r3),
    jsgt32(r2, 0, name),
    add(r1, 1),
    label(name),
  ]
}

/**
 * `taken =` what r1 says was consumed and nobody was charged with; goes to `none` without any. The lock is held, but an urgent byte may be
 * counted without it where calls are seen when they have returned, and the audit charges without it.
 */
export function takeConsumed(context: Context, none: string, taken: Register = amount, name = 'consumed'): Code {
  const uncharged = [sub(r1, r2), jsle(r1, 0, none)]
  return [
    isAlone(context) ? [
      load(r2, 'u64', flow, Value.rxSeen),
      mov(r3, r1),
      uncharged,
      store('u64', flow, Value.rxSeen, r3),
    ] : [
      mov(r3, r1),
      note('tries, should others be faster', mov(r5, 16)),
      label(`${name}_again`),
      load(r0, 'u64', flow, Value.rxSeen),
      mov(r1, r3),
      mov(r2, r0),
      uncharged,
      cmpxchg('u64', flow, Value.rxSeen, r3),
      jeq(r0, r2, `${name}_taken`),
      sub(r5, 1),
      jne(r5, 0, `${name}_again`),
      ja(none),
      label(`${name}_taken`),
    ],
    taken === r1 ? [] : mov(taken, r1),
  ]
}

/** `r1 = snd_una - bytes_acked`: see `queued`. Without the lock (`racing`) read until it is twice the same. */
export function firstSequence({ field, access }: Context, name: string, { racing = true } = {}): Code {
  const isn = [access.read(r2, field.bytesAcked, socket), access.read(r1, field.sndUna, socket), sub32(r1, r2)]
  if (!racing) return isn
  return [
    isn,
    Array.from({ length: 8 }, () => [
      store('u32', r10, stack.filterKey, r1),
      access.refresh(),
      isn,
      load(r2, 'u32', r10, stack.filterKey),
      jeq32(r1, r2, `${name}_isn`),
    ]),
    label(`${name}_isn`),
  ]
}

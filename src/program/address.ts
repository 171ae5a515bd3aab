import {
  all, aside, call, type Code, is, ja, lookup, mov, mov32, note, type Place, r0, r1, r2, remove, rsh32, sub32, unless, update, when,
} from '../../bpf-asm/index.js'
import type { Access, Cast } from './access.js'
import { markGone } from './entry.js'
import type { KernelFields } from './field.js'
import { Counters, flow, making, mapName, socket, stack } from './frame.js'
import { bits, family, isIn, protocol, state } from './kernel.js'
import { atAddress, mptcpReader, type Reading } from './reading.js'

/** The counters that are kept of a socket, beside the first sequence number. */
const counters = ['txSeen', 'rxSeen', 'txEnd'] as const
/** Where the key of the flow is kept. */
const ofKey = ['cookie', 'port'] as const

/** Sockets are identified by their addresses and, because those are reused, by when and on which CPU each was first seen. */
export function byAddress(field: KernelFields, reading: Reading, by: Cast | undefined): Access {
  return { ...knownIn(mapName.sockets, field, reading, by), mptcp: mptcpByAddress(field, reading, by) }
}

/** The same for MPTCP sockets, in a map of their own: a TCP socket is never looked up there. */
export function mptcpByAddress(field: KernelFields, reading: Reading, by: Cast | undefined): Access {
  return knownIn(mapName.mptcpSockets, field, reading, by)
}

function knownIn(map: typeof mapName.sockets | typeof mapName.mptcpSockets, field: KernelFields, reading: Reading, by: Cast | undefined): Access {
  const { read, refresh } = reading
  const asKey = stack.passing.word.store(socket)
  const found = Counters.in(r0)
  const kept = () => [asKey, lookup(map, stack.passing.word)]
  const forget = () => [asKey, remove(map, stack.passing.word)]
  const unlessTcp = (otherwise: Place) => [
    read(r1, field.family, socket),
    all(is.ne(r1, family.inet), is.ne(r1, family.inet6)).jump(otherwise),
    read(r1, field.protocol, socket),
    is.ne(r1, protocol.tcp).jump(otherwise),
    note('no full sockets', read(r1, field.state, socket)),
    isIn(bits(state.timeWait, state.newSynRecv), r1, r2).jump(otherwise),
  ]
  /** The pointer may be typed: its lower half is a number to the verifier all the same. Sockets are aligned to cache lines. */
  const identity = () => [mov(r1, socket), mov32(r2, r1), rsh32(r2, 6)]
  const copyKey = [found.cookie.load(r1), stack.key.cookie.store(r1), stack.key.rest.store(0), found.port.load(r1), stack.key.port.store(r1)]
  return {
    ...reading,
    sockets: {
      type: 'hash', keySize: 8, flags: 0,
      room: flows => map === mapName.sockets ? Math.max(4 * flows, 65_536) : Math.max(Math.ceil(flows / 4), 16_384),
    },
    asTcp: (source, otherwise, is) => [
      source === socket ? [] : mov(socket, source),
      refresh(),
      is?.sure ? [] : unlessTcp(otherwise),
    ],
    find: () => [
      kept(),
      mov(flow, r0),
      unless(is.eq(r0, 0), [copyKey, lookup(mapName.flows, stack.key), mov(flow, r0)]),
    ],
    remember: (_isKnown, none) => [
      call('ktime_get_ns'),
      making.cookie.store(r0),
      call('get_smp_processor_id'),
      making.port.store(r0),
      asKey,
      update(map, stack.passing.word, flow, 'noexist'),
      note('what is kept now: ours, or what was there', kept()),
      is.eq(r0, 0).jump(none),
      found.isn.load(r1),
      making.isn.load(r2),
      when(is.ne32(r1, r2), [
        note('kept of another connection of this socket, or before its first sequence number was known', [...counters, ...ofKey].map(name =>
          [making[name].load(r1), found[name].store(r1)])),
        found.isn.store(r2),
      ]),
      copyKey,
      counters.map(name => [found[name].load(r1), making[name].store(r1)]),
      ofKey.map(name => making[name].store(0)),
    ],
    kept,
    // While a connection is opened, its first sequence number is not known yet.
    unlessStale: otherwise =>
      all(is.ne(r1, state.synSent).after(read(r1, field.state, socket)), is.ne32(r1, r2).after(firstSequences(field, read)))
        .jump(aside('stale', () => [note('closed long ago', markGone()), forget(), ja(otherwise)])),
    identity,
    readMptcp: mptcpReader(by),
    atAddress: { ...atAddress(field, by), identity },
    isOfKey: (_read, otherwise) => [
      kept(),
      is.eq(r0, 0).jump(otherwise),
      found.cookie.load(r1),
      stack.key.cookie.load(r2),
      is.ne(r1, r2).jump(otherwise),
    ],
    keepsPort: false,
    forget,
    freed: forget,
  }
}

/** `r1 = snd_una - bytes_acked`, `r2 =` what it was when the flow was made: another connection has another. See `queued`. */
export function firstSequences(field: KernelFields, read: Access['read']): Code {
  return [
    read(r1, field.sndUna, socket),
    read(r2, field.bytesAcked, socket),
    sub32(r1, r2),
    flow.isn.load(r2),
  ]
}

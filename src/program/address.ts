import {
  call, type Code, ja, jeq, jeq32, jne, jset, label, load, lsh, mov, mov32, note, r0, r1, r10, r2, rsh32, store, sub32,
} from '../../bpf-asm/index.js'
import { Key, Value } from '../layout.js'
import { type Access, type Cast, lookup, remove, update } from './access.js'
import { family, flow, mapName, protocol, socket, stack, state } from './context.js'
import type { Field } from './field.js'
import { atAddress, mptcpReader, type Reading } from './reading.js'
import { markGone } from './stat.js'

/** Where a value of `mapName.sockets`, laid out as the counters of a `Value`, has the key of its flow. */
const known = { cookie: Value.tx, port: Value.rx } as const
/** What a value of `mapName.sockets` has of what was counted, beside the first sequence number. */
const counters = [Value.txSeen, Value.rxSeen, Value.txEnd] as const

/** Sockets are known by their addresses, and as those are used again, by when and where each was met. */
export function byAddress(field: Field, reading: Reading, by: Cast | undefined): Access {
  return { ...knownIn(mapName.sockets, field, reading, by), mptcp: mptcpByAddress(field, reading, by) }
}

/** The same for MPTCP sockets, in a map of their own: of one nothing is found that was not asked for as one. */
export function mptcpByAddress(field: Field, reading: Reading, by: Cast | undefined): Access {
  return knownIn(mapName.mptcpSockets, field, reading, by)
}

function knownIn(map: typeof mapName.sockets | typeof mapName.mptcpSockets, field: Field, reading: Reading, by: Cast | undefined): Access {
  const { read, refresh } = reading
  const asKey = store('u64', r10, stack.passing, socket)
  const kept = () => [asKey, lookup(map, stack.passing)]
  const forget = () => [asKey, remove(map, stack.passing)]
  const isTcp = (otherwise: string) => [
    read(r1, field.family, socket),
    jeq(r1, family.inet, 'inet'),
    jne(r1, family.inet6, otherwise),
    label('inet'),
    read(r1, field.protocol, socket),
    jne(r1, protocol.tcp, otherwise),
    note('no full sockets', read(r1, field.state, socket)),
    mov(r2, 1),
    lsh(r2, r1),
    jset(r2, 1 << state.timeWait | 1 << state.newSynRecv, otherwise),
  ]
  /** It may be typed, and of a pointer one may have the lower half. Sockets lie at multiples of a cache line. */
  const identity = () => [mov(r1, socket), mov32(r2, r1), rsh32(r2, 6)]
  const copyKey = [
    load(r1, 'u64', r0, known.cookie),
    store('u64', r10, stack.key + Key.cookie, r1),
    store('u64', r10, stack.key + Key.pid, 0),
    load(r1, 'u64', r0, known.port),
    store('u16', r10, stack.key + Key.port, r1),
  ]
  const found = `find_done_${map}`
  return {
    ...reading,
    sockets: { type: 'hash', keySize: 8, flags: 0, room: flows => map === mapName.sockets ? Math.max(4 * flows, 65_536) : Math.max(Math.ceil(flows / 4), 16_384) },
    asTcp: (source, otherwise, is) => [
      source === socket ? [] : mov(socket, source),
      refresh(),
      is?.sure ? [] : isTcp(otherwise),
    ],
    find: () => [
      kept(),
      mov(flow, r0),
      jeq(r0, 0, found),
      copyKey,
      lookup(mapName.flows, stack.key),
      mov(flow, r0),
      label(found),
    ],
    remember: (name, _isKnown, none) => [
      call('ktime_get_ns'),
      store('u64', flow, known.cookie, r0),
      call('get_smp_processor_id'),
      store('u64', flow, known.port, r0),
      asKey,
      update(map, stack.passing, flow, 'noExist'),
      note('the one that is there, ours or an earlier one', kept()),
      jeq(r0, 0, none),
      load(r1, 'u32', r0, Value.isn),
      load(r2, 'u32', flow, Value.isn),
      jeq32(r1, r2, `${name}_same`),
      note('of another connection of this socket, or of the time before its first sequence number was known', [...counters, known.cookie, known.port].map(offset =>
        [load(r1, 'u64', flow, offset), store('u64', r0, offset, r1)])),
      store('u32', r0, Value.isn, r2),
      label(`${name}_same`),
      copyKey,
      counters.map(offset => [load(r1, 'u64', r0, offset), store('u64', flow, offset, r1)]),
      [known.cookie, known.port].map(offset => store('u64', flow, offset, 0)),
    ],
    kept,
    /** While it is being opened, the first sequence number is not known yet. */
    unlessStale: otherwise => [
      read(r1, field.state, socket),
      jeq(r1, state.synSent, `${otherwise}_unless_stale`),
      firstSequences(field, read),
      jeq32(r1, r2, `${otherwise}_unless_stale`),
      note('gone long ago', markGone()),
      forget(),
      ja(otherwise),
      label(`${otherwise}_unless_stale`),
    ],
    identity,
    readMptcp: mptcpReader(by),
    atAddress: { ...atAddress(field, by), identity },
    isOfKey: (_read, otherwise) => [
      kept(),
      jeq(r0, 0, otherwise),
      load(r1, 'u64', r0, known.cookie),
      load(r2, 'u64', r10, stack.key + Key.cookie),
      jne(r1, r2, otherwise),
    ],
    keepsPort: false,
    forget,
    freed: forget,
  }
}

/** `r1 = snd_una - bytes_acked`, r2 what it was: of another connection it is another. See `queued`. */
export function firstSequences(field: Field, read: Access['read']): Code {
  return [
    read(r1, field.sndUna, socket),
    read(r2, field.bytesAcked, socket),
    sub32(r1, r2),
    load(r2, 'u32', flow, Value.isn),
  ]
}

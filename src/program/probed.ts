import {
  add, and, call, callKfunc, type Code, ja, jeq, jeq32, jne, jne32, jset, label, load, loadMap, lsh, type Member, mov, mov32, note, r0, r1,
  r10, r2, r3, r4, r5, readKernel, type Register, rsh, rsh32, store, sub32,
} from '../../bpf-asm/index.js'
import { Key, Value } from '../layout.js'
import { type Access, type Cast, lookup, sizeOf } from './access.js'
import { family, flow, mapName, protocol, socket, stack, state, task } from './context.js'
import { type Field, type FieldName, present } from './field.js'
import { markGone } from './stat.js'
import { typed } from './typed.js'

/** What every reading of a socket needs: copied at once. */
const fresh = [
  'family', 'state', 'flags', 'owned', 'protocol', 'bytesReceived', 'rcvNxt', 'copiedSeq', 'bytesAcked', 'sndUna', 'writeSeq', 'urgData',
  'urgSeq',
] as const satisfies readonly FieldName[]
/** Bytes between two members that are copied along, for another call costs more. */
const gap = 64
/** `BPF_NOEXIST` (include/uapi/linux/bpf.h) */
const noExist = 1
/** `S_IFMT` and `S_IFSOCK` (include/uapi/linux/stat.h) */
const fileType = { mask: 0xf000, socket: 0xc000 } as const
/** Where a value of `mapName.sockets`, laid out as the counters of a `Value`, has the key of its flow. */
const known = { cookie: Value.tx, port: Value.rx } as const

/** A part of a socket. */
interface Extent {
  readonly from: number
  readonly to: number
}

/** Few extents that together hold these members. */
function extentsOf(members: readonly Member[]): Extent[] {
  const extents: { from: number; to: number }[] = []
  for (const { offset, size } of members.toSorted((one, other) => one.offset - other.offset)) {
    const last = extents.at(-1)
    if (last !== undefined && offset - last.to <= gap) last.to = Math.max(last.to, offset + size)
    else extents.push({ from: offset, to: offset + size })
  }
  return extents
}

/** The extents of all `fresh` members, and where on the stack their copies lie, aligned as what they are copies of. */
function partsOf(field: Field): (Extent & { readonly at: number })[] {
  let at: number = stack.value
  return extentsOf(fresh.map(name => field[name])).map(extent => {
    const from = extent.from - extent.from % 8
    return { from, to: extent.to, at: (at -= Math.ceil((extent.to - from) / 8) * 8) }
  })
}

/** In one word the ports, the family and the state of a socket, which follow each other in `struct sock_common` (include/net/sock.h). */
function connectionOf({ dport, state }: Field): Member {
  const word = { offset: dport.offset, size: 8 }
  if (state.offset < word.offset || state.offset >= word.offset + word.size) throw new RangeError('skc_state does not follow skc_dport')
  return word
}

/** How members are read, and tasks looked at. */
type Reading = Pick<Access, 'read' | 'refresh' | 'keepConnection' | 'unlessSame' | 'current' | 'tgid' | 'currentTgid' | 'comm' | 'socketOf'>

/**
 * Copies what it needs, so that no types are needed: for kprobes and raw tracepoints, and where typed access lacks something. `socket` is
 * the address of a `struct sock`.
 */
export function probed(field: Field): Access {
  return byAddress(field, copying(field))
}

/** Makes typed pointers of the addresses that kprobes and raw tracepoints are given, and loads through them. */
export function cast(field: Field, by: Cast | undefined): Access {
  if (by === undefined) throw new Error('a cast is known by BTF alone')
  const { kfunc, tcpSock } = by
  const { read, current, tgid, currentTgid, comm, socketOf } = typed(field)
  return byAddress(field, {
    read, current, tgid, currentTgid, comm, socketOf,
    refresh: () => note('as what it is', mov(r1, socket), mov(r2, tcpSock), callKfunc(kfunc), mov(socket, r0)),
    keepConnection: () => [],
    unlessSame: (_base, _offset, otherwise) => [
      read(r1, field.state, socket),
      jne(r1, state.established, otherwise),
      firstSequences(field, read),
      jne32(r1, r2, otherwise),
    ],
  })
}

function copying(field: Field): Reading {
  const parts = partsOf(field)
  const copyOf = ({ offset, size }: Member) => {
    const part = parts.find(({ from, to }) => offset >= from && offset + size <= to)
    return part === undefined ? undefined : part.at + offset - part.from
  }
  const read: Access['read'] = (dst, member, base) => {
    const copy = base === socket ? copyOf(member) : undefined
    if (copy !== undefined) return load(dst, sizeOf(member), r10, copy)
    return [readKernel(stack.passing, member.size, base, member.offset), load(dst, sizeOf(member), r10, stack.passing)]
  }
  const tgid = (dst: Register) => [call('get_current_pid_tgid'), mov(dst, r0), rsh(dst, 32)]
  const copy = ({ from, to }: Extent) => {
    const part = parts.find(whole => from >= whole.from && to <= whole.to)
    if (part === undefined) throw new RangeError('no member that is copied')
    return readKernel(part.at + from - part.from, to - from, socket, from)
  }
  return {
    read,
    refresh: members =>
      note(members === undefined ? 'what every reading needs' : 'what this needs', (members === undefined ? parts : extentsOf(members)).map(copy)),
    keepConnection: (base, offset) => [read(r1, connectionOf(field), socket), store('u64', base, offset, r1)],
    unlessSame: (base, offset, otherwise) => [
      read(r1, connectionOf(field), socket),
      load(r2, 'u64', base, offset),
      jne(r1, r2, otherwise),
    ],
    current: () => [call('get_current_task'), mov(task, r0)],
    tgid,
    currentTgid: tgid,
    comm: () => [
      note('the name is the thread group leader’s', read(r3, field.leader, task)),
      readKernel(stack.passing, 16, r3, field.comm.offset),
      load(r4, 'u64', r10, stack.passing),
      load(r5, 'u64', r10, stack.passing + 8),
    ],
    socketOf: (file, otherwise) => [
      read(r1, present(field, 'fileInode'), file),
      read(r1, present(field, 'inodeMode'), r1),
      and(r1, fileType.mask),
      jne(r1, fileType.socket, otherwise),
      read(r1, present(field, 'filePrivate'), file),
      read(r0, present(field, 'socketSk'), r1),
      jeq(r0, 0, otherwise),
    ],
  }
}

/** `r1 = snd_una - bytes_acked`, r2 what it was: of another connection it is another. See `queued`. */
function firstSequences(field: Field, read: Access['read']): Code {
  return [
    read(r1, field.sndUna, socket),
    read(r2, field.bytesAcked, socket),
    sub32(r1, r2),
    load(r2, 'u32', flow, Value.isn),
  ]
}

/** Sockets are known by their addresses, and as those are used again, by when and where each was met. */
function byAddress(field: Field, reading: Reading): Access {
  const { read, refresh } = reading
  const asKey = store('u64', r10, stack.passing, socket)
  const kept = () => [asKey, lookup(mapName.sockets, stack.passing)]
  const forget = () => [asKey, loadMap(r1, mapName.sockets), mov(r2, r10), add(r2, stack.passing), call('map_delete_elem')]
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
  const copyKey = [
    load(r1, 'u64', r0, known.cookie),
    store('u64', r10, stack.key + Key.cookie, r1),
    store('u64', r10, stack.key + Key.pid, 0),
    load(r1, 'u64', r0, known.port),
    store('u16', r10, stack.key + Key.port, r1),
  ]
  return {
    ...reading,
    sockets: { type: 'hash', keySize: 8, flags: 0, room: flows => Math.max(4 * flows, 65_536) },
    asTcp: (source, otherwise, is) => [
      source === socket ? [] : mov(socket, source),
      refresh(),
      is?.sure ? [] : isTcp(otherwise),
    ],
    find: () => [
      kept(),
      mov(flow, r0),
      jeq(r0, 0, 'find_done'),
      copyKey,
      lookup(mapName.flows, stack.key),
      mov(flow, r0),
      label('find_done'),
    ],
    remember: (_name, _isKnown, none) => [
      call('ktime_get_ns'),
      store('u64', flow, known.cookie, r0),
      call('get_smp_processor_id'),
      store('u64', flow, known.port, r0),
      asKey,
      loadMap(r1, mapName.sockets),
      mov(r2, r10),
      add(r2, stack.passing),
      mov(r3, flow),
      mov(r4, noExist),
      call('map_update_elem'),
      note('the one that is there, ours or an earlier one', kept()),
      jeq(r0, 0, none),
      copyKey,
      [Value.txSeen, Value.rxSeen, Value.txEnd].map(offset => [load(r1, 'u64', r0, offset), store('u64', flow, offset, r1)]),
      load(r1, 'u32', r0, Value.isn),
      store('u32', flow, Value.isn, r1),
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
    /** It may be typed, and of a pointer one may have the lower half. Sockets lie at multiples of a cache line. */
    identity: () => [mov(r1, socket), mov32(r2, r1), rsh32(r2, 6)],
    keepsPort: false,
    forget,
  }
}

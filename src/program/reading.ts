import {
  address, and, call, callKfunc, type Code, is, load, located, type Member, mov, note, r0, r1, r10, r2, r3, r4, r5, readInto, type Register, rsh,
} from '../../bpf-asm/index.js'
import { type Access, type Cast, loadCopy, sizeOf } from './access.js'
import { type KernelFields, type FieldName, present } from './field.js'
import { socket, stack, stackSize, task } from './frame.js'
import { nameSize } from './kernel.js'

/** What every reading of a socket needs: copied at once. */
const fresh = [
  'family', 'state', 'flags', 'owned', 'protocol', 'bytesReceived', 'rcvNxt', 'copiedSeq', 'bytesAcked', 'sndUna', 'writeSeq', 'urgData',
  'urgSeq',
] as const satisfies readonly FieldName[]
/** Bytes between two members that are copied along, because another call costs more. */
const gap = 64
/** `S_IFMT` and `S_IFSOCK` (include/uapi/linux/stat.h) */
const fileType = { mask: 0xf000, socket: 0xc000 } as const
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

/** The extents of all `fresh` members, and where on the stack their copies lie, with the alignment of the originals. */
function partsOf(field: KernelFields): (Extent & { readonly at: number })[] {
  let at = -stackSize
  return extentsOf(fresh.map(name => field[name])).map(extent => {
    const from = extent.from - extent.from % 8
    return { from, to: extent.to, at: (at -= Math.ceil((extent.to - from) / 8) * 8) }
  })
}

/** One word with the ports, the family and the state of a socket, which are adjacent in `struct sock_common` (include/net/sock.h). */
function connectionOf({ dport, state }: KernelFields): Member {
  const word = { offset: dport.offset, size: 8 }
  if (state.offset < word.offset || state.offset >= word.offset + word.size) throw new RangeError('skc_state does not follow skc_dport')
  return word
}

/** How members and tasks are read. */
export type Reading = Pick<
  Access, 'read' | 'refresh' | 'keepConnection' | 'unlessSame' | 'current' | 'tgid' | 'currentTgid' | 'comm' | 'copyText' | 'textFormat' | 'socketOf'
>

/** Loads through a pointer whose type the verifier knows. */
export const loading: Access['read'] = (dst, member, base) => load(dst, sizeOf(member), base, member.offset)

/** Makes a typed pointer of the address in `socket`. */
export function recast({ kfunc, tcpSock }: Cast): Code {
  return note('a typed pointer', mov(r1, socket), mov(r2, tcpSock), callKfunc(kfunc), mov(socket, r0))
}

/** How a socket is read of which only the address is known. */
export function atAddress(field: KernelFields, by: Cast | undefined): Pick<Access, 'read' | 'refresh'> {
  if (by !== undefined) return { read: loading, refresh: () => recast(by) }
  const { read, refresh } = copying(field)
  return { read, refresh }
}

/** How a member of an MPTCP socket is read. */
export function mptcpReader(by: Cast | undefined): Access['readMptcp'] {
  const { kfunc, mptcpSock } = by ?? {}
  if (kfunc === undefined || mptcpSock === undefined) return (dst, member) => loadCopy(dst, member, socket)
  return (dst, member) => [mov(r1, socket), mov(r2, mptcpSock), callKfunc(kfunc), load(dst, sizeOf(member), r0, member.offset)]
}

/** Copies what is read. */
export function copying(field: KernelFields): Reading {
  const parts = partsOf(field)
  const copyOf = ({ offset, size }: Member) => {
    const part = parts.find(({ from, to }) => offset >= from && offset + size <= to)
    return part === undefined ? undefined : part.at + offset - part.from
  }
  const read: Access['read'] = (dst, member, base) => {
    const copy = base === socket ? copyOf(member) : undefined
    return copy === undefined ? loadCopy(dst, member, base) : load(dst, sizeOf(member), r10, copy)
  }
  const tgid = (dst: Register) => [call('get_current_pid_tgid'), mov(dst, r0), rsh(dst, 32)]
  const copyExtent = ({ from, to }: Extent) => {
    const part = parts.find(whole => from >= whole.from && to <= whole.to)
    if (part === undefined) throw new RangeError('no member that is copied')
    return readInto(located(r10, part.at + from - part.from, to - from), socket, from)
  }
  return {
    read,
    refresh: members =>
      note(members === undefined ? 'what every reading needs' : 'what this needs', (members === undefined ? parts : extentsOf(members)).map(copyExtent)),
    keepConnection: to => [read(r1, connectionOf(field), socket), to.store(r1)],
    unlessSame: (kept, otherwise) => [
      read(r1, connectionOf(field), socket),
      kept.load(r2),
      is.ne(r1, r2).jump(otherwise),
    ],
    current: () => [call('get_current_task'), mov(task, r0)],
    tgid,
    currentTgid: tgid,
    comm: () => [
      note('the name is the thread group leader’s', read(r3, field.leader, task)),
      readInto(stack.passing, r3, field.comm.offset),
      stack.passing.word.load(r4),
      stack.passing.second.load(r5),
    ],
    copyText: (to, source) => [address(r1, to), mov(r2, nameSize), mov(r3, source), call('probe_read_kernel_str')],
    socketOf: (file, otherwise) => [
      read(r1, present(field, 'fileInode'), file),
      read(r1, present(field, 'inodeMode'), r1),
      and(r1, fileType.mask),
      is.ne(r1, fileType.socket).jump(otherwise),
      read(r1, present(field, 'filePrivate'), file),
      read(r0, present(field, 'socketSk'), r1),
      is.eq(r0, 0).jump(otherwise),
    ],
  }
}

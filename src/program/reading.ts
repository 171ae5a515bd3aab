import {
  add, and, call, callKfunc, type Code, jeq, jne, load, type Member, mov, note, r0, r1, r10, r2, r3, r4, r5, readKernel, type Register, rsh, store,
} from '../../bpf-asm/index.js'
import { type Access, type Cast, nameSize, sizeOf } from './access.js'
import { socket, stack, task } from './context.js'
import { type Field, type FieldName, present } from './field.js'

/** What every reading of a socket needs: copied at once. */
const fresh = [
  'family', 'state', 'flags', 'owned', 'protocol', 'bytesReceived', 'rcvNxt', 'copiedSeq', 'bytesAcked', 'sndUna', 'writeSeq', 'urgData',
  'urgSeq',
] as const satisfies readonly FieldName[]
/** Bytes between two members that are copied along, for another call costs more. */
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
export type Reading = Pick<Access, 'read' | 'refresh' | 'keepConnection' | 'unlessSame' | 'current' | 'tgid' | 'currentTgid' | 'comm' | 'copyText' | 'textFormat' | 'socketOf'>

/** Loads through a pointer whose type the verifier knows. */
export const loading: Access['read'] = (dst, member, base) => load(dst, sizeOf(member), base, member.offset)

/** Makes a typed pointer of the address in `socket`. */
export function recast({ kfunc, tcpSock }: Cast): Code {
  return note('as what it is', mov(r1, socket), mov(r2, tcpSock), callKfunc(kfunc), mov(socket, r0))
}

/** How a socket is read of which there is nothing but the address. */
export function atAddress(field: Field, by: Cast | undefined): Pick<Access, 'read' | 'refresh'> {
  if (by !== undefined) return { read: loading, refresh: () => recast(by) }
  const { read, refresh } = copying(field)
  return { read, refresh }
}

/** How a member of an MPTCP socket is read. */
export function mptcpReader(by: Cast | undefined): Access['readMptcp'] {
  const { kfunc, mptcpSock } = by ?? {}
  if (kfunc === undefined || mptcpSock === undefined) {
    return (dst, member) => [readKernel(stack.passing, member.size, socket, member.offset), load(dst, sizeOf(member), r10, stack.passing)]
  }
  return (dst, member) => [mov(r1, socket), mov(r2, mptcpSock), callKfunc(kfunc), load(dst, sizeOf(member), r0, member.offset)]
}

/** Copies what is read. */
export function copying(field: Field): Reading {
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
    copyText: (at, source) => [mov(r1, r10), add(r1, at), mov(r2, nameSize), mov(r3, source), call('probe_read_kernel_str')],
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


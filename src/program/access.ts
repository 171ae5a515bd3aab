import {
  type Code, type Field as Word, type Kfunc, type Located, type Member, part, type Place, readInto, type Register, type Size,
} from '../../bpf-asm/index.js'
import { stack } from './frame.js'

/** How a program reads the kernel's structures, and how it identifies a socket. */
export interface Access {
  /** The map `mapName.sockets`: what is kept of sockets beside their flows. Its values are `Counters`. */
  readonly sockets: {
    readonly type: 'sk_storage' | 'hash'
    readonly keySize: number
    readonly flags: number
    /** Entries, where there is space for so many flows. */
    room(flows: number): number
  }
  /**
   * `dst = base->member`; members of `socket` only after `asTcp`. Where programs copy what they read this is a call that clobbers r0 to r5, unless
   * `refresh` has copied the member already.
   */
  read(dst: Register, member: Member, base: Register): Code
  /** `socket = source`, fresh; leaves for `otherwise` unless it is a full TCP socket over IPv4 or IPv6. `sure`: only those come here. */
  asTcp(source: Register, otherwise: Place, is?: { readonly sure: boolean }): Code
  /** Makes reads of these members of `socket` current; without any, of all. `socket` is TCP, or was when first seen. Clobbers r0 to r5. */
  refresh(members?: readonly Member[]): Code
  /** Looks up the flow of `socket`: `flow` and r0 point to it, or are 0. Its key stays on the stack. */
  find(): Code
  /**
   * Puts the key of a flow to be made for `socket` on the stack, where its value is already: a socket that was counted before goes on from there.
   * Leaves for `none` when the socket cannot be remembered. `isKnown`: whether it may have been counted before.
   */
  remember(isKnown: boolean, none: Place): Code
  /** `r0 =` the socket's `Counters` beside its flow, or 0. With `make`, where sockets have storage, they are made from the value on the stack. */
  kept(make: boolean): Code
  /** After `find`, with `socket` fresh: leaves for `otherwise`, as if there were no flow, when the flow is of an earlier socket at this address. */
  unlessStale(otherwise: Place): Code
  /** `to =` what `unlessSame` compares to recognise the connection of `socket`, which is established. */
  keepConnection(to: Word): Code
  /**
   * Leaves for `otherwise` unless `socket` is established and, where its address may be reused, has the connection that was kept. `flow` has its
   * `isn`. Clobbers r0 to r5.
   */
  unlessSame(kept: Word, otherwise: Place): Code
  /** `r1 =` a number unique to `socket` while it exists, `r2 =` bits of it that vary most; or leaves for `otherwise`. */
  identity(otherwise: Place): Code
  /** How the audit reads `socket`, of which it has only the address: see `read`, `refresh`, `identity`. */
  readonly atAddress: Pick<Access, 'read' | 'refresh' | 'identity'>
  /** Leaves for `otherwise` unless `socket`, read by `read`, is the one that the key on the stack is of. Clobbers r0 to r5. */
  isOfKey(read: Access['read'], otherwise: Place): Code
  /** Whether a socket that connects again from the same port keeps its flow. */
  readonly keepsPort: boolean
  /** `socket` will be another connection: drops what is kept of it. */
  forget(): Code
  /** `socket` is freed: drops what is kept of it, unless the kernel does. */
  freed(): Code
  /** The same for MPTCP sockets with counters of their own: identified by their addresses, in `mapName.mptcpSockets`. */
  readonly mptcp?: Access
  /** `dst =` a member of `socket`, an MPTCP socket, by its offset in `struct mptcp_sock`. Clobbers r0 to r5. */
  readMptcp(dst: Register, member: Member): Code
  /** `task =` the current task */
  current(): Code
  /** `dst =` the process of `task`, the current one. */
  tgid(dst: Register): Code
  /** `dst =` the current process; `task` is lost. Clobbers r0 to r5. */
  currentTgid(dst: Register): Code
  /** `r4, r5 =` the name of the leader of `task`'s thread group. */
  comm(): Code
  /**
   * Copies a kernel string of at most 15 bytes to the stack, to 16 zeroed bytes. Some use the constant `textFormat`, in `mapName.text`. Clobbers r0 to
   * r5.
   */
  copyText(to: Located, source: Register): Code
  readonly textFormat?: Uint8Array
  /** `r0 =` the `struct sock` of the open file at `file`; leaves for `otherwise` when it is no socket. */
  socketOf(file: Register, otherwise: Place): Code
}

/** What makes typed pointers of addresses. */
export interface Cast {
  /** `bpf_rdonly_cast`, for all kinds of programs since Linux 6.2 (commit a35b9af4ec2c) */
  readonly kfunc: Kfunc
  /** The BTF id of `struct tcp_sock`. */
  readonly tcpSock: number
  /** That of `struct mptcp_sock`, where the kernel has MPTCP. */
  readonly mptcpSock?: number | undefined
}

const sizes: Readonly<Record<number, Size>> = { 1: 'u8', 2: 'u16', 4: 'u32', 8: 'u64' }

/** The size to load a member with. Throws RangeError when that takes more than one load. */
export function sizeOf({ size }: Pick<Member, 'size'>): Size {
  const name = sizes[size]
  if (name === undefined) throw new RangeError(`a member of ${size} bytes cannot be loaded at once`)
  return name
}

/** `dst = base->member`, copied to `stack.passing` first (since Linux 5.5). Clobbers r0 to r5. */
export function loadCopy(dst: Register, member: Member, base: Register): Code {
  const copy = part(stack.passing, 0, sizeOf(member))
  return [readInto(copy, base, member.offset), copy.load(dst)]
}

/** The bits of a member within what `read` loads. */
export function maskOf({ size, bitOffset = 0, bitSize = 8 * size }: Member): number {
  return (2 ** bitSize - 1) * 2 ** bitOffset
}

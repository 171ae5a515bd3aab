import { add, type Code, type Kfunc, loadMap, call, type Member, mov, r1, r10, r2, r3, r4, type Register, type Size } from '../../bpf-asm/index.js'

/** How a program gets at the kernel's structures, and what it knows a socket by. */
export interface Access {
  /** The map `mapName.sockets`: what is kept of sockets beside their flows. Its values are the counters that a `Value` starts with. */
  readonly sockets: {
    readonly type: 'sk_storage' | 'hash'
    readonly keySize: number
    readonly flags: number
    /** Entries, when there is room for so many flows. */
    room(flows: number): number
  }
  /**
   * `dst = base->member`, of `socket` only after `asTcp`. Where the access is probed it is a call, unless it reads what `refresh` has
   * copied: it clobbers r0 to r5.
   */
  read(dst: Register, member: Member, base: Register): Code
  /** `socket = source`, fresh; leaves for `otherwise` unless that is a full socket of TCP over IPv4 or IPv6, as is `sure` where only those come. */
  asTcp(source: Register, otherwise: string, is?: { readonly sure: boolean }): Code
  /** Makes reads of these members of `socket`, which is known to be TCP, or was when it was met, tell of now; without any, of all. Clobbers r0 to r5. */
  refresh(members?: readonly Member[]): Code
  /**
   * Looks up the entry of `socket`: `flow` and r0 point to it, or r0 is 0. Its key stays on the stack. Probed, once in a program, for it
   * has a label.
   */
  find(): Code
  /**
   * On the stack, the key of `socket`'s entry that is to be made, whose value is on the stack too: where the socket was counted before,
   * it goes on from there. Leaves for `none` when the socket cannot be kept in mind. `isKnown`: whether it may have been counted before.
   */
  remember(name: string, isKnown: boolean, none: string): Code
  /** `r0 =` what `mapName.sockets` has of `socket`, or 0; where sockets are known by themselves, made from the value on the stack with `make`. */
  kept(make: boolean): Code
  /**
   * After `find`, with `socket` fresh: goes to `otherwise`, as if there were no entry, when it is one of a socket that had this address
   * before and whose end was missed.
   */
  unlessStale(otherwise: string): Code
  /** At `base + offset`, a u64: what tells `unlessSame` of the connection of `socket`, which is established. */
  keepConnection(base: Register, offset: number): Code
  /**
   * Goes to `otherwise` unless `socket` is established, and, where another may have its address, the connection that it was. `flow` has its `isn`.
   * Clobbers r0 to r5.
   */
  unlessSame(base: Register, offset: number, otherwise: string): Code
  /** `r1 =` what no other socket has in common with `socket` while that is there, `r2 =` bits of it that few have; or leaves for `otherwise`. */
  identity(otherwise: string): Code
  /** How the audit reads `socket`, of which it has the address alone: see `read`, `refresh`, `identity`. */
  readonly atAddress: Pick<Access, 'read' | 'refresh' | 'identity'>
  /** Goes to `otherwise` unless `socket`, read by `read`, is the one that the key on the stack is of. Clobbers r0 to r5. */
  isOfKey(read: Access['read'], otherwise: string): Code
  /** Whether a socket that connects once more from the same port goes on with its entry. */
  readonly keepsPort: boolean
  /** `socket` will be another connection: nothing is kept of it. */
  forget(): Code
  /** `socket` is freed: nothing is kept of it that the kernel does not free too. */
  freed(): Code
  /** The same for MPTCP sockets, of which TCP knows nothing: they are known by their addresses, and kept in mind apart, in `mapName.mptcpSockets`. */
  readonly mptcp?: Access
  /** `dst =` a member of `socket`, an MPTCP socket, by its offset into `struct mptcp_sock`. Clobbers r0 to r5. */
  readMptcp(dst: Register, member: Member): Code
  /** `task =` the current task */
  current(): Code
  /** `dst =` the process of `task`, the current one. */
  tgid(dst: Register): Code
  /** `dst =` the current process; `task` is lost. Clobbers r0 to r5. */
  currentTgid(dst: Register): Code
  /** `r4, r5 =` the name of `task`'s thread group leader. */
  comm(): Code
  /**
   * Copies the kernel's string at `source` to the stack, where there are 16 zeros at `at`: 15 bytes at most. With the constant `textFormat`,
   * if it needs one, in `mapName.text`. Clobbers r0 to r5.
   */
  copyText(at: number, source: Register): Code
  readonly textFormat?: Uint8Array
  /** `r0 =` the `struct sock` of the open file at `source`; leaves for `otherwise` when it is none of a socket. */
  socketOf(file: Register, otherwise: string): Code
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

/** `TASK_COMM_LEN` (include/linux/sched.h) */
export const nameSize = 16

const sizes: Readonly<Record<number, Size>> = { 1: 'u8', 2: 'u16', 4: 'u32', 8: 'u64' }

/** The size to load a member with. Throws RangeError when that takes more than one load. */
export function sizeOf({ size }: Member): Size {
  const name = sizes[size]
  if (name === undefined) throw new RangeError(`a member of ${size} bytes cannot be loaded at once`)
  return name
}

/** `BPF_ANY` and `BPF_NOEXIST` (include/uapi/linux/bpf.h) */
const modes = { any: 0, noExist: 1 } as const

/** `r0 = bpf_map_update_elem(&map, r10 + key, r10 + value, mode)`, or with the value that a register points to. */
export function update(map: string, key: number, value: number | Register, mode: keyof typeof modes = 'any'): Code {
  return [
    loadMap(r1, map),
    mov(r2, r10),
    add(r2, key),
    typeof value === 'number' ? [mov(r3, r10), add(r3, value)] : mov(r3, value),
    mov(r4, modes[mode]),
    call('map_update_elem'),
  ]
}

/** `r0 = bpf_map_delete_elem(&map, r10 + key)` */
export function remove(map: string, key: number): Code {
  return [loadMap(r1, map), mov(r2, r10), add(r2, key), call('map_delete_elem')]
}

/** `r0 = bpf_map_lookup_elem(&map, r10 + key)` */
export function lookup(map: string, key: number): Code {
  return [mov(r2, r10), add(r2, key), loadMap(r1, map), call('map_lookup_elem')]
}

import {
  add, call, type Code, jeq, jne, jset, label, load, loadMap, type Member, mov, note, r0, r1, r10, r2, r6, r7, r8, r9, type Register,
  type Size, store,
} from '../../bpf-asm/index.js'
import { Key, Value } from '../layout.js'
import type { Field } from './field.js'
import type { Filter } from './filter.js'

/** What every part of a program is generated from. */
export interface Context {
  readonly field: Field
  readonly filter: Filter
}

/** The socket at hand, a `struct tcp_sock *` that the verifier lets the program read. */
export const socket = r6
/** Bytes to be charged; before that, the most that may be charged. */
export const amount = r7
/** The socket's entry in the flow map. */
export const flow = r8
/** The task that is charged. */
export const task = r9

/** The names under which the program refers to its maps. */
export const mapName = {
  flows: 'flows',
  overflow: 'overflow',
  stats: 'stats',
  cgroup: 'cgroup',
  cgroupIds: 'cgroup_ids',
  mntnsIds: 'mntns_ids',
} as const

/** Where things lie on the program's stack, as offsets from r10. */
export const stack = {
  /** A flow key. */
  key: -Key.size,
  /** The key of a filter map. */
  filterKey: -Key.size - 8,
  /** A flow value in the making. */
  value: -Key.size - 8 - Value.size,
} as const

/** `IPPROTO_TCP` and `IPPROTO_MPTCP` (include/uapi/linux/in.h). */
export const protocol = { tcp: 6, mptcp: 262 } as const
/** `AF_INET` and `AF_INET6` (include/linux/socket.h). */
export const family = { inet: 2, inet6: 10 } as const
/** include/net/tcp_states.h */
export const state = {
  established: 1, synSent: 2, synRecv: 3, finWait1: 4, finWait2: 5, timeWait: 6, close: 7, closeWait: 8, lastAck: 9, listen: 10,
  closing: 11,
} as const

const sizes: Readonly<Record<number, Size>> = { 1: 'u8', 2: 'u16', 4: 'u32', 8: 'u64' }

/** `dst = *(member *)(base)` in the member's own size. */
export function read(dst: Register, member: Member, base: Register): Code {
  const size = sizes[member.size]
  if (size === undefined) throw new RangeError(`a member of ${member.size} bytes cannot be loaded at once`)
  return load(dst, size, base, member.offset)
}

/** Looks up the entry of `socket`, a TCP socket: `flow` and r0 point to it, or r0 is 0. Its key stays on the stack. */
export function find({ field }: Context): Code {
  return [
    key(field),
    read(r1, field.sport, socket),
    store('u16', r10, stack.key + Key.port, r1),
    lookup(mapName.flows, stack.key),
    mov(flow, r0),
  ]
}

/** The same for an MPTCP socket, whose port is its subflows' affair. */
export function findMptcp({ field }: Context): Code {
  return [key(field), lookup(mapName.flows, stack.key), mov(flow, r0)]
}

function key(field: Field): Code {
  return [
    note('the key: the socket’s cookie, 0 before the kernel was asked for one', read(r1, field.cookie, socket)),
    store('u64', r10, stack.key + Key.cookie, r1),
    store('u64', r10, stack.key + Key.pid, 0),
  ]
}

/** `r0 = bpf_map_lookup_elem(&map, r10 + key)` */
export function lookup(map: string, key: number): Code {
  return [mov(r2, r10), add(r2, key), loadMap(r1, map), call('map_lookup_elem')]
}

/**
 * `socket = bpf_skc_to_tcp_sock(source)`, a helper since 5.9; leaves for `otherwise` unless it is TCP over IPv4 or IPv6. The
 * family is looked at first because before 6.0 the helper asks for protocol 6 alone, which a netlink socket can have too.
 */
export function asTcp({ field }: Context, source: Register, otherwise: string): Code {
  return [
    read(r1, field.family, source),
    jeq(r1, family.inet, 'inet'),
    jne(r1, family.inet6, otherwise),
    label('inet'),
    mov(r1, source),
    call('skc_to_tcp_sock'),
    jeq(r0, 0, otherwise),
    mov(socket, r0),
  ]
}

/**
 * Goes to `redirected` when the socket at `source` is in a sockmap: `SK_USER_DATA_PSOCK` (include/net/sock.h, since 6.0). Programs may
 * then move its bytes to other sockets, so that only the return values of calls tell what a process moved.
 */
export function ifRedirected({ field }: Context, source: Register, redirected: string): Code {
  return [read(r1, field.userData, source), jset(r1, 4, redirected)]
}

/** The bits of a member within what `read` loads. */
export function maskOf({ size, bitOffset = 0, bitSize = 8 * size }: Member): number {
  return (2 ** bitSize - 1) * 2 ** bitOffset
}

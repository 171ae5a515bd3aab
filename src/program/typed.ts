import {
  address, all, call, type Code, is, load, loadMap, loadMapValue, lookup, mov, note, r0, r1, r2, r3, r4, r5, type Register, unless, when,
} from '../../bpf-asm/index.js'
import type { Access, Cast } from './access.js'
import { mptcpByAddress } from './address.js'
import { type KernelFields, present } from './field.js'
import { Counters, flow, making, mapName, socket, stack, task } from './frame.js'
import { family, nameSize, state } from './kernel.js'
import { atAddress, loading, mptcpReader } from './reading.js'

/** `BPF_SK_STORAGE_GET_F_CREATE` (include/uapi/linux/bpf.h) */
const create = 1

/**
 * Loads through pointers whose types the verifier knows: `socket` is a `struct tcp_sock *`. Sockets are identified by their cookies. Needs what
 * tracing programs have since Linux 5.12: bpf_get_current_task_btf, cookies, socket storage, atomic instructions that fetch.
 */
export function typed(field: KernelFields, by?: Cast): Access & { findMptcp(): Code } {
  const read = loading
  const byAddress = atAddress(field, by)
  const identityBy = (read: Access['read']): Access['identity'] => otherwise => [read(r1, field.cookie, socket), is.eq(r1, 0).jump(otherwise), mov(r2, r1)]
  const key = [
    note('the key: the socket’s cookie, 0 until the kernel was asked for one', read(r1, field.cookie, socket)),
    stack.key.cookie.store(r1),
    stack.key.rest.store(0),
  ]
  const current = () => [call('get_current_task_btf'), mov(task, r0)]
  const tgid = (dst: Register) => read(dst, field.tgid, task)
  const kept: Access['kept'] = make => [
    loadMap(r1, mapName.sockets),
    mov(r2, socket),
    make ? address(r3, stack.value) : mov(r3, 0),
    mov(r4, make ? create : 0),
    call('sk_storage_get'),
  ]
  /** Most sockets have none. */
  const forget: Access['forget'] = () => [loadMap(r1, mapName.sockets), mov(r2, socket), call('sk_storage_delete')]
  /**
   * `bpf_skc_to_tcp_sock`, a helper since 5.9. The family is checked first because before 6.0 the helper checks only for protocol 6, which
   * a netlink socket can have too.
   */
  const asTcp: Access['asTcp'] = (source, otherwise, sure) => [
    sure?.sure ? [] : [
      read(r1, field.family, source),
      all(is.ne(r1, family.inet), is.ne(r1, family.inet6)).jump(otherwise),
    ],
    mov(r1, source),
    call('skc_to_tcp_sock'),
    is.eq(r0, 0).jump(otherwise),
    mov(socket, r0),
  ]
  const own: Access & { findMptcp(): Code } = {
    // Socket storage is not preallocated (`BPF_F_NO_PREALLOC` is obligatory), and has no limit.
    sockets: { type: 'sk_storage', keySize: 4, flags: 1, room: () => 0 },
    read,
    asTcp,
    refresh: () => [],
    find: () => [
      key,
      read(r1, field.sport, socket),
      stack.key.port.store(r1),
      lookup(mapName.flows, stack.key),
      mov(flow, r0),
    ],
    /** An MPTCP socket that is counted by what its calls return is identified by its cookie. Its ports are its subflows' affair. */
    findMptcp: () => [key, lookup(mapName.flows, stack.key), mov(flow, r0)],
    remember: isKnown => {
      const before = Counters.in(r0)
      return [
        mov(r1, socket),
        call('get_socket_cookie'),
        stack.key.cookie.store(r0),
        !isKnown ? [] : [
          kept(false),
          unless(is.eq(r0, 0), [
            before.isn.load(r1),
            making.isn.load(r2),
            when(
              is.eq(r1, r2),
              (['txSeen', 'rxSeen', 'txEnd'] as const).map(name => [before[name].load(r1), making[name].store(r1)]),
              note('of another connection of this socket', forget()),
            ),
          ]),
        ],
      ]
    },
    kept,
    identity: identityBy(read),
    readMptcp: mptcpReader(by),
    atAddress: { ...byAddress, identity: identityBy(byAddress.read) },
    isOfKey: (read, otherwise) => [
      read(r1, field.cookie, socket),
      stack.key.cookie.load(r2),
      is.ne(r1, r2).jump(otherwise),
    ],
    // Cookies are not reused.
    unlessStale: () => [],
    keepConnection: () => [],
    unlessSame: (_kept, otherwise) => [read(r1, field.state, socket), is.ne(r1, state.established).jump(otherwise)],
    keepsPort: true,
    forget,
    freed: () => [],
    current,
    tgid,
    currentTgid: dst => [current(), tgid(dst)],
    comm: () => [
      note('the name is the thread group leader’s', read(r3, field.leader, task)),
      load(r4, 'u64', r3, field.comm.offset),
      load(r5, 'u64', r3, field.comm.offset + 8),
    ],
    // Lockdown forbids the helpers that read kernel memory, but not this one (since 5.13).
    copyText: (to, source) => [
      stack.passing.word.store(source),
      address(r1, to),
      mov(r2, nameSize),
      loadMapValue(r3, mapName.text, 0),
      address(r4, stack.passing.word),
      mov(r5, 8),
      call('snprintf'),
    ],
    textFormat: new TextEncoder().encode('%s\0\0'),
    socketOf: (file, otherwise) => [
      mov(r1, file),
      call('sock_from_file'),
      is.eq(r0, 0).jump(otherwise),
      read(r0, present(field, 'socketSk'), r0),
      is.eq(r0, 0).jump(otherwise),
    ],
  }
  return { ...own, mptcp: mptcpByAddress(field, own, by) }
}

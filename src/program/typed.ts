import { add, call, type Code, ja, jeq, jne, label, load, loadMap, loadMapValue, mov, note, r0, r1, r10, r2, r3, r4, r5, type Register, store } from '../../bpf-asm/index.js'
import { Key, Value } from '../layout.js'
import { type Access, type Cast, lookup, nameSize } from './access.js'
import { mptcpByAddress } from './address.js'
import { family, flow, mapName, socket, stack, state, task } from './context.js'
import { type Field, present } from './field.js'
import { atAddress, loading, mptcpReader } from './reading.js'

/** `BPF_SK_STORAGE_GET_F_CREATE` (include/uapi/linux/bpf.h) */
const create = 1

/**
 * Loads through pointers whose types the verifier knows: `socket` is a `struct tcp_sock *`. Sockets are known by their cookies. Takes
 * what tracing programs have since Linux 5.12: bpf_get_current_task_btf, cookies, socket storage, atomic instructions that fetch.
 */
export function typed(field: Field, by?: Cast): Access & { findMptcp(): Code } {
  const read = loading
  const address = atAddress(field, by)
  const identityBy = (read: Access['read']): Access['identity'] => otherwise => [read(r1, field.cookie, socket), jeq(r1, 0, otherwise), mov(r2, r1)]
  const key = [
    note('the key: the socket’s cookie, 0 before the kernel was asked for one', read(r1, field.cookie, socket)),
    store('u64', r10, stack.key + Key.cookie, r1),
    store('u64', r10, stack.key + Key.pid, 0),
  ]
  const current = () => [call('get_current_task_btf'), mov(task, r0)]
  const tgid = (dst: Register) => read(dst, field.tgid, task)
  const kept: Access['kept'] = make => [
    loadMap(r1, mapName.sockets),
    mov(r2, socket),
    make ? [mov(r3, r10), add(r3, stack.value)] : mov(r3, 0),
    mov(r4, make ? create : 0),
    call('sk_storage_get'),
  ]
  /** Most sockets have none. */
  const forget: Access['forget'] = () => [loadMap(r1, mapName.sockets), mov(r2, socket), call('sk_storage_delete')]
  /**
   * `bpf_skc_to_tcp_sock`, a helper since 5.9. The family is looked at first because before 6.0 it asks for protocol 6 alone, which
   * a netlink socket can have too.
   */
  const asTcp: Access['asTcp'] = (source, otherwise, is) => [
    is?.sure ? [] : [
      read(r1, field.family, source),
      jeq(r1, family.inet, 'inet'),
      jne(r1, family.inet6, otherwise),
      label('inet'),
    ],
    mov(r1, source),
    call('skc_to_tcp_sock'),
    jeq(r0, 0, otherwise),
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
      store('u16', r10, stack.key + Key.port, r1),
      lookup(mapName.flows, stack.key),
      mov(flow, r0),
    ],
    /** Where calls tell what an MPTCP socket moved, it is known by its cookie. Its port is its subflows' affair. */
    findMptcp: () => [key, lookup(mapName.flows, stack.key), mov(flow, r0)],
    remember: (name, isKnown) => [
      mov(r1, socket),
      call('get_socket_cookie'),
      store('u64', r10, stack.key + Key.cookie, r0),
      isKnown ? [
        kept(false),
        jeq(r0, 0, `${name}_fresh`),
        load(r1, 'u32', r0, Value.isn),
        load(r2, 'u32', flow, Value.isn),
        note('of another connection of this socket', jne(r1, r2, `${name}_stale`)),
        [Value.txSeen, Value.rxSeen, Value.txEnd].map(offset => [load(r1, 'u64', r0, offset), store('u64', flow, offset, r1)]),
        ja(`${name}_fresh`),
        label(`${name}_stale`),
        forget(),
        label(`${name}_fresh`),
      ] : [],
    ],
    kept,
    identity: identityBy(read),
    readMptcp: mptcpReader(by),
    atAddress: { ...address, identity: identityBy(address.read) },
    isOfKey: (read, otherwise) => [
      read(r1, field.cookie, socket),
      load(r2, 'u64', r10, stack.key + Key.cookie),
      jne(r1, r2, otherwise),
    ],
    // Cookies are not used again.
    unlessStale: () => [],
    keepConnection: () => [],
    unlessSame: (_base, _offset, otherwise) => [read(r1, field.state, socket), jne(r1, state.established, otherwise)],
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
    // Lockdown forbids helpers that read kernel memory, but not this one (since 5.13).
    copyText: (at, source) => [
      store('u64', r10, stack.passing, source),
      mov(r1, r10),
      add(r1, at),
      mov(r2, nameSize),
      loadMapValue(r3, mapName.text, 0),
      mov(r4, r10),
      add(r4, stack.passing),
      mov(r5, 8),
      call('snprintf'),
    ],
    textFormat: new TextEncoder().encode('%s\0\0'),
    socketOf: (file, otherwise) => [
      mov(r1, file),
      call('sock_from_file'),
      jeq(r0, 0, otherwise),
      read(r0, present(field, 'socketSk'), r0),
      jeq(r0, 0, otherwise),
    ],
  }
  return { ...own, mptcp: mptcpByAddress(field, own, by) }
}

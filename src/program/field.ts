import type { Btf, Member } from '../../bpf-asm/index.js'

/** Where the kernel keeps what programs read: offsets into `struct tcp_sock` unless the name says otherwise. */
export type KernelFields = Readonly<Record<Exclude<FieldName, Absent>, Member>> & Readonly<Partial<Record<Absent | 'subflow' | CgroupField, Member>>> & {
  readonly mptcp?: Mptcp
}

/**
 * What may be absent where fields are found without BTF: IPv6 addresses without IPv6 and `userData` without sockmaps, which do not matter there; what
 * is only read by programs that need BTF themselves, such as iterators; and `startTime`, which only distinguishes processes that had the same id.
 * `subflow`, the bit of a TCP socket that is a subflow of an MPTCP socket, is also absent without CONFIG_MPTCP.
 */
type Absent = 'saddr6' | 'daddr6' | 'userData' | 'writePending' | 'socketSk' | 'fileInode' | 'filePrivate' | 'inodeMode' | 'msgFlags' | 'threadPid' |
  'pidLevel' | 'pidNumbers' | 'pidNamespaceInum' | 'startTime'

/** Structure and member path of every field, as `include/linux/tcp.h`, `include/net/sock.h` and `sched.h` call them. */
const path = {
  family: ['tcp_sock', 'inet_conn.icsk_inet.sk.__sk_common.skc_family'],
  state: ['tcp_sock', 'inet_conn.icsk_inet.sk.__sk_common.skc_state'],
  cookie: ['tcp_sock', 'inet_conn.icsk_inet.sk.__sk_common.skc_cookie.counter'],
  flags: ['tcp_sock', 'inet_conn.icsk_inet.sk.__sk_common.skc_flags'],
  net: ['tcp_sock', 'inet_conn.icsk_inet.sk.__sk_common.skc_net.net'],
  saddr: ['tcp_sock', 'inet_conn.icsk_inet.sk.__sk_common.skc_rcv_saddr'],
  daddr: ['tcp_sock', 'inet_conn.icsk_inet.sk.__sk_common.skc_daddr'],
  saddr6: ['tcp_sock', 'inet_conn.icsk_inet.sk.__sk_common.skc_v6_rcv_saddr'],
  daddr6: ['tcp_sock', 'inet_conn.icsk_inet.sk.__sk_common.skc_v6_daddr'],
  dport: ['tcp_sock', 'inet_conn.icsk_inet.sk.__sk_common.skc_dport'],
  num: ['tcp_sock', 'inet_conn.icsk_inet.sk.__sk_common.skc_num'],
  sport: ['tcp_sock', 'inet_conn.icsk_inet.inet_sport'],
  owned: ['tcp_sock', 'inet_conn.icsk_inet.sk.sk_lock.owned'],
  backlog: ['tcp_sock', 'inet_conn.icsk_inet.sk.sk_max_ack_backlog'],
  userData: ['tcp_sock', 'inet_conn.icsk_inet.sk.sk_user_data'],
  userlocks: ['tcp_sock', 'inet_conn.icsk_inet.sk.sk_userlocks'],
  writePending: ['tcp_sock', 'inet_conn.icsk_inet.sk.sk_write_pending'],
  protocol: ['sock', 'sk_protocol'],
  bytesReceived: ['tcp_sock', 'bytes_received'],
  rcvNxt: ['tcp_sock', 'rcv_nxt'],
  copiedSeq: ['tcp_sock', 'copied_seq'],
  urgData: ['tcp_sock', 'urg_data'],
  urgSeq: ['tcp_sock', 'urg_seq'],
  bytesAcked: ['tcp_sock', 'bytes_acked'],
  sndUna: ['tcp_sock', 'snd_una'],
  writeSeq: ['tcp_sock', 'write_seq'],
  netInum: ['net', 'ns.inum'],
  socketSk: ['socket', 'sk'],
  fileInode: ['file', 'f_inode'],
  filePrivate: ['file', 'private_data'],
  inodeMode: ['inode', 'i_mode'],
  skbSk: ['sk_buff', 'sk'],
  msgFlags: ['msghdr', 'msg_flags'],
  taskFlags: ['task_struct', 'flags'],
  tgid: ['task_struct', 'tgid'],
  leader: ['task_struct', 'group_leader'],
  startTime: ['task_struct', 'start_time'],
  comm: ['task_struct', 'comm'],
  nsproxy: ['task_struct', 'nsproxy'],
  mntNs: ['nsproxy', 'mnt_ns'],
  threadPid: ['task_struct', 'thread_pid'],
  pidLevel: ['pid', 'level'],
  pidNumbers: ['pid', 'numbers'],
  pidNamespaceInum: ['pid_namespace', 'ns.inum'],
  mntInum: ['mnt_namespace', 'ns.inum'],
} as const satisfies Record<string, readonly [struct: string, member: string]>

/**
 * From a task to the id of its cgroup v2, the inode number of the directory. All are absent without BTF or CONFIG_CGROUPS.
 */
const cgroupPath = {
  cgroups: ['task_struct', 'cgroups'],
  defaultCgroup: ['css_set', 'dfl_cgrp'],
  cgroupNode: ['cgroup', 'kn'],
  cgroupId: ['kernfs_node', 'id'],
} as const

/** The parent of a cgroup; a cgroup begins with its `self`. */
const cgroupParent = ['cgroup', 'self.parent'] as const

type CgroupField = keyof typeof cgroupPath | 'cgroupParent'

/** The members on the way from a task to its cgroup's id; none where they are absent. */
export function cgroupMembers(field: KernelFields): Member[] {
  return (Object.keys(cgroupPath) as (keyof typeof cgroupPath)[]).flatMap(name => field[name] ?? [])
}

/** Where an MPTCP socket has counters of its own: offsets into `struct mptcp_sock` (net/mptcp/protocol.h), known only from BTF. */
export interface Mptcp {
  /** u32, different for each connection. */
  readonly token: Member
  readonly writeSeq: Member
  /** `bytes_consumed`: what the process received. Kernels without it have `unread`. */
  readonly consumed: Member
  readonly unread?: Unread
}

/** Where an MPTCP socket keeps what was not read yet. */
export interface Unread {
  /** The queues that it waits in, the first bytes in the first queue: until Linux 6.13 there are two. */
  readonly queues: readonly { readonly length: Member; readonly first: Member }[]
  readonly ackSeq: Member
  readonly finSeq: Member
  /** Offsets into `struct sk_buff`: a packet's length, how much of that was read or is no data, and the sequence number of its end. */
  readonly length: Member
  readonly taken: Member
  readonly end: Member
}

function mptcpOf(btf: Btf): Mptcp | undefined {
  const own = (path: string) => btf.findMember('mptcp_sock', path)
  const [token, writeSeq, consumed] = [own('token'), own('write_seq'), own('bytes_consumed')]
  if (token === undefined || writeSeq === undefined) return undefined
  if (consumed !== undefined) return { token, writeSeq, consumed }
  const unread = unreadOf(btf)
  return unread && { token, writeSeq, consumed: unread.ackSeq, unread }
}

function unreadOf(btf: Btf): Unread | undefined {
  const own = (path: string) => btf.findMember('mptcp_sock', path)
  const queues = ['receive_queue', 'sk.icsk_inet.sk.sk_receive_queue'].flatMap(queue => {
    const [length, first] = [own(`${queue}.qlen`), own(`${queue}.next`)]
    return length === undefined || first === undefined ? [] : [{ length, first }]
  })
  const [ackSeq, finSeq, length, cb] = [own('ack_seq'), own('rcv_data_fin_seq'), btf.findMember('sk_buff', 'len'), btf.findMember('sk_buff', 'cb')]
  const [taken, end] = [btf.findMember('mptcp_skb_cb', 'offset'), btf.findMember('mptcp_skb_cb', 'end_seq')]
  if (!ackSeq || !finSeq || !length || !cb || !taken || !end || queues.length === 0) return undefined
  const inPacket = (member: Member) => ({ ...member, offset: cb.offset + member.offset })
  return { queues, ackSeq, finSeq, length, taken: inPacket(taken), end: inPacket(end) }
}

export type FieldName = keyof typeof path

/** A field that a program with BTF has. Throws where it is absent. */
export function present(field: KernelFields, name: Absent | CgroupField): Member {
  const member = field[name]
  if (member === undefined) throw new Error(`the field ${name} is known by BTF alone`)
  return member
}

/** Looks every field up in the running kernel's BTF. Throws BtfError when one is missing. */
export function fieldsOf(btf: Btf): KernelFields {
  const fields = Object.entries(path).map(([name, [struct, member]]) => [name, btf.member(struct, member)] as const)
  const subflow = btf.findMember('tcp_sock', 'is_mptcp')
  const mptcp = mptcpOf(btf)
  const cgroup = Object.entries({ ...cgroupPath, cgroupParent }).map(([name, [struct, member]]) => [name, btf.findMember(struct, member)] as const)
  return {
    ...Object.fromEntries(fields) as Record<FieldName, Member>,
    ...(subflow === undefined ? {} : { subflow }),
    ...(subflow === undefined || mptcp === undefined ? {} : { mptcp }),
    ...(cgroup.some(([, member]) => member === undefined) ? {} : Object.fromEntries(cgroup)),
  }
}

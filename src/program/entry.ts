import { any, be, block, call, type Code, is, ja, note, part, type Place, r0, r1, r2, r4, r5, update, when } from '../../bpf-asm/index.js'
import { Flag, Value } from '../layout.js'
import type { Context } from './context.js'
import { cgroupMembers } from './field.js'
import { flow, type FlowView, mapName, socket, stack, task } from './frame.js'
import { family } from './kernel.js'
import { count } from './moved.js'

/** How a socket was first seen, which decides from where its bytes are counted. */
export type Origin =
  /** It is leaving SYN_SENT: all its bytes count, but the SYN does not. */
  | 'opened'
  /** It is leaving SYN_RECV: all its bytes count. */
  | 'accepted'
  /** A process sent on it: what the call sent counts, or all if it is new. */
  | 'sending'
  /** A process received from it: what comes later counts, or all if it is new. */
  | 'receiving'
  /** A process is at work on it, and releases it, or sends a packet: what comes later counts, or all if it is new. */
  | 'used'
  /** It ends, and was not seen before: what comes later counts, or all if it is new. */
  | 'ending'
  /** It is older than the programs, and `task` has it open: what comes later counts. */
  | 'seeded'
  /** It is older than the programs, and no process has it open: what comes later counts. */
  | 'unowned'
  /** An MPTCP socket, whose counters are the return values of its calls. */
  | 'mptcp'

/** `Pid.nobody` as a signed immediate */
export const nobody = -1
/** `txEnd` while no end was seen, as a signed immediate */
export const unknownEnd = -1
/** ::ffff:0:0/96 seen as the second and third word of four, little-endian */
const mappedWord = 0xffff0000 | 0

/** At `flow`, a value whose counters are zero and that has no owner. */
export function fill({ audited }: Context, origin: Origin): Code {
  const zeroed = [Value.flags, Value.tx, Value.rx, Value.txSeen, Value.rxSeen, Value.comm, Value.comm + 8, Value.netns, Value.start, Value.opened, Value.ended]
  return [
    zeroed.map(offset => part(flow, offset, 'u64').store(0)),
    flow.txEnd.store(unknownEnd),
    note('no owner yet', part(flow, Value.pid, 'u64').store(nobody)),
    flow.sk.store(audited && origin !== 'mptcp' ? socket : 0),
  ]
}

/** Copies addresses, ports, family and namespace from `socket` to `flow`, and finds its service; leaves for `none` for a family that is not wanted. */
export function identify({ field, filter, access }: Context, origin: Origin, none: Place): Code {
  const { read } = access
  const ends = [[flow.laddr, field.saddr, field.saddr6], [flow.raddr, field.daddr, field.daddr6]] as const
  const fromIPv4 = ends.map(([to, address]) => [
    note('IPv4 is kept as ::ffff:a.b.c.d', part(to, 0, 'u64').store(0)),
    part(to, 8, 'u32').store(mappedWord),
    read(r1, address, socket),
    part(to, 12, 'u32').store(r1),
  ])
  const fromIPv6 = ends.map(([to, _, address]) => address === undefined ? [] : [0, 8].map(half => [
    read(r1, { offset: address.offset + half, size: 8 }, socket),
    part(to, half, 'u64').store(r1),
  ]))
  const isNative = any(
    is.ne(r1, 0).after(part(flow.raddr, 0, 'u64').load(r1)),
    is.ne32(r1, mappedWord).after(part(flow.raddr, 8, 'u32').load(r1)),
  )
  const theirs = note('opened: the service is theirs', flow.rport.load(r1), flow.service.store(r1))
  const ours = note('accepted: the service is ours', flow.lport.load(r1), flow.service.store(r1))
  return [
    block('family', known => [
      block('native', native => [
        when(is.ne(r1, family.inet6).after(read(r1, field.family, socket)), fromIPv4, [fromIPv6, isNative.jump(native)]),
        filter.family === 6 ? ja(none) : [flow.family.store(4), ja(known)],
      ]),
      filter.family === 4 ? ja(none) : flow.family.store(6),
    ]),
    read(r1, field.dport, socket),
    flow.rport.store(r1),
    origin === 'mptcp' ? [read(r1, field.num, socket), be(r1, 16)] : read(r1, field.sport, socket),
    flow.lport.store(r1),
    origin === 'opened' ? theirs : origin === 'accepted' ? ours : [
      note('an accepted connection has its listener’s backlog', read(r1, field.backlog, socket)),
      when(is.eq(r1, 0), theirs, ours),
    ],
    read(r1, field.net, socket),
    read(r1, field.netInum, r1),
    flow.netns.store(r1),
  ]
}

/** Puts the value on the stack into the map, unless there is one, under the key on the stack. Clobbers r0 to r5. */
export function insert(): Code {
  return [
    update(mapName.flows, stack.key, stack.value, 'noexist'),
    when(is.eq(r0, 0), count('entered')),
  ]
}

/** The socket of `flow` is closed, or its connection: the flow will not change again. Clobbers r1 and r2. */
export function markGone(): Code {
  return [flow.flags.store(Flag.gone), count('gone')]
}

/** From now on the connection of `flow` is established. Clobbers r0 to r5. */
export function established(): Code {
  return [note('it is established', call('ktime_get_ns')), flow.opened.store(r0), flow.ended.store(0)]
}

/** Copies the name of `task`'s process to `flow`. Clobbers r0 to r5. */
export function copyComm({ access }: Context): Code {
  return [access.comm(), part(flow.comm, 0, 'u64').store(r4), part(flow.comm, 8, 'u64').store(r5)]
}

/** The same, if it has changed: then it may be another process with this id, too. */
export function refreshComm(context: Context): Code {
  const [first, second] = [part(flow.comm, 0, 'u64'), part(flow.comm, 8, 'u64')]
  return [
    context.access.comm(),
    when(any(is.ne(r2, r4).after(first.load(r2)), is.ne(r2, r5).after(second.load(r2))), [
      first.store(r4),
      second.store(r5),
      copyStart(context, flow),
    ]),
  ]
}

/** Copies the current cgroup of `task` and when its process started. Clobbers r0 to r5. */
export function copyOrigin(context: Context, to: FlowView): Code {
  const { access, field } = context
  const members = cgroupMembers(field)
  return [
    members.length === 0 ? [] : [
      members.map((member, index) => access.read(r1, member, index === 0 ? task : r1)),
      note('its cgroup', to.cgroup.store(r1)),
    ],
    copyStart(context, to),
  ]
}

function copyStart({ access, field: { leader, startTime } }: Context, to: FlowView): Code {
  return startTime === undefined ? [] : [
    access.read(r1, leader, task),
    access.read(r1, startTime, r1),
    note('when its process started', to.start.store(r1)),
  ]
}

import {
  add, be, type Code, ja, jeq, jeq32, jne, jne32, jset, label, load, loadMapValue, mov, note, r0, r1, r10, r2, r3, r9, store, sub, call,
} from '../../bpf-asm/index.js'
import { Flag, Stat, Value } from '../layout.js'
import { lookup, update } from './access.js'
import { copyComm, copyOrigin, kernelThread } from './charge.js'
import { amount, type Context, family, flow, Known, mapName, socket, socketDead, stack, state, task } from './context.js'
import { consumed, firstSequence, lessFin, queued, unknownEnd } from './counter.js'
import { admit, admitTask, canAdmitTask, choosesProcesses } from './filter.js'
import { count } from './stat.js'

/** How a socket came to our notice, which decides from where its bytes are counted. */
export type Origin =
  /** It is leaving SYN_SENT: all its bytes count, but the SYN does not. */
  | 'opened'
  /** It is leaving SYN_RECV: all its bytes count. */
  | 'accepted'
  /** A process sent on it: what the call sent counts, or all if it is new. */
  | 'sending'
  /** A process received from it: what comes later counts, or all if it is new. */
  | 'receiving'
  /** A process is at work on it, and lets go of it, or sends a packet: what comes later counts, or all if it is new. */
  | 'used'
  /** It ends, and nothing was seen of it before: what comes later counts, or all if it is new. */
  | 'ending'
  /** It was there before us, `task` has it open: what comes later counts. */
  | 'seeded'
  /** It was there before us, and no process has it open: what comes later counts. */
  | 'unowned'
  /** An MPTCP socket, whose counters are the return values of its calls. */
  | 'mptcp'

/** ::ffff:0:0/96 seen as the second and third word of four, little-endian. */
const mappedWord = 0xffff0000 | 0

/**
 * Makes the entry of `socket`: afterwards `flow` is the entry and the program goes to `found`; or, where the map has no room, the counters
 * that are kept beside it, from which only `lost` can be counted, and goes to `spilled`. Goes to `none` when the socket is not wanted.
 * `isReturn`: a process is at work though it may have let go of the socket.
 */
export function enter(
  context: Context, origin: Origin, to: { found: string; spilled: string; none: string }, { isReturn = origin === 'sending' || origin === 'mptcp' } = {},
): Code {
  const { access, filter } = context
  const { found, spilled, none } = to
  const done = `${origin}_done`
  const keep = `${origin}_keep`
  const chooses = choosesProcesses(filter)
  const isUsed = origin === 'sending' || origin === 'receiving' || origin === 'used'
  return [
    chooses && (isUsed || origin === 'mptcp') ? unlessUnwanted(context, origin, to, isReturn) : [],
    chooses && origin === 'seeded' ? [
      store('u64', r10, stack.wanted, 0),
      canAdmitTask(context) ? [
        admitTask(context, `${origin}_admitted`),
        store('u64', r10, stack.wanted, 1),
        label(`${origin}_admitted`),
      ] : [],
    ] : [],
    note('the entry is made on the stack', mov(flow, r10)),
    add(flow, stack.value),
    fill(context, origin),
    identify(context, origin, none),
    baseline(context, origin),
    access.remember(origin, isUsed || chooses, none),
    chooses && (isUsed || origin === 'seeded') ? [
      load(r1, 'u64', r10, stack.wanted),
      note('the map is for what is wanted', jeq(r1, 0, keep)),
    ] : [],
    chooses && !(isUsed || origin === 'seeded' || origin === 'mptcp') ? [] : [
      insert(done),
      label(done),
      lookup(mapName.flows, stack.key),
      mov(flow, r0),
      jne(r0, 0, found),
    ],
    origin === 'mptcp' ? ja(spilled) : [label(keep), access.kept(true), jeq(r0, 0, none), mov(flow, r0), ja(spilled)],
  ]
}

/**
 * With a filter of processes: a socket that none of them has used yet takes no space in the map. What is moved on it is followed beside it, where
 * this goes on with `spilled` if that is known of this connection; otherwise it is to be made, with the answer on the stack.
 */
function unlessUnwanted(context: Context, origin: Origin, { spilled, none }: { spilled: string; none: string }, isReturn: boolean): Code {
  const { access, field } = context
  const to = (part: string) => `${origin}_${part}`
  return [
    store('u64', r10, stack.wanted, 0),
    // After the lock is released, as at any call, a process is at work.
    isReturn ? [] : [access.read(r1, field.owned, socket), jeq(r1, 0, to('unwanted'))],
    access.current(),
    access.read(r1, field.taskFlags, task),
    jset(r1, kernelThread, to('unwanted')),
    admit(context, to('unwanted'), to('admit')),
    store('u64', r10, stack.wanted, 1),
    ja(to('make')),
    label(to('unwanted')),
    origin === 'mptcp' ? ja(none) : [
      access.kept(false),
      jeq(r0, 0, to('make')),
      mov(flow, r0),
      firstSequence(context, to('kept'), { racing: false }),
      load(r2, 'u32', flow, Value.isn),
      jeq32(r1, r2, spilled),
    ],
    label(to('make')),
  ]
}

/** Goes to `otherwise` when no process has the socket any more (`SOCK_DEAD`): its end may have come already. */
export function unlessDead({ access, field }: Context, otherwise: string): Code {
  return [access.read(r1, field.flags, socket), jset(r1, socketDead, otherwise)]
}

/** Puts the value on the stack into the map under the key on the stack and counts it, or goes to `exists`. */
export function insert(exists: string): Code {
  return [
    update(mapName.flows, stack.key, stack.value, 'noExist'),
    jne(r0, 0, exists),
    count(Stat.entered),
  ]
}

/** At `flow`, a value whose counters are zero, and which is nobody’s. */
export function fill({ audited }: Context, origin: Origin): Code {
  const zero = [Value.flags, Value.tx, Value.rx, Value.txSeen, Value.rxSeen, Value.comm, Value.comm + 8, Value.netns, Value.start, Value.opened, Value.ended]
  return [
    zero.map(offset => store('u64', flow, offset, 0)),
    store('u64', flow, Value.txEnd, unknownEnd),
    note('nobody’s yet', store('u64', flow, Value.pid, -1)),
    audited && origin !== 'mptcp' ? store('u64', flow, Value.sk, socket) : store('u64', flow, Value.sk, 0),
  ]
}

/** Addresses, ports, service, family and namespace, from `socket` to `flow`. */
export function identify({ field, filter, access }: Context, origin: Origin, none: string, prefix: string = origin): Code {
  const name = (part: string) => `${prefix}_${part}`
  const { read } = access
  const theirs = note('opened: the service is theirs', load(r1, 'u16', flow, Value.rport), store('u16', flow, Value.service, r1))
  const ours = note('accepted: the service is ours', load(r1, 'u16', flow, Value.lport), store('u16', flow, Value.service, r1))
  const service = origin === 'opened' ? theirs : origin === 'accepted' ? ours : [
    note('a connection that was accepted has its listener’s backlog', read(r1, field.backlog, socket)),
    jne(r1, 0, name('accepted')),
    theirs,
    ja(name('net')),
    label(name('accepted')),
    ours,
    label(name('net')),
  ]
  return [
    read(r1, field.family, socket),
    jeq(r1, family.inet6, name('inet6')),
    ([[Value.laddr, field.saddr], [Value.raddr, field.daddr]] as const).map(([offset, address]) => [
      note('IPv4 is kept as ::ffff:a.b.c.d', store('u64', flow, offset, 0)),
      store('u32', flow, offset + 8, mappedWord),
      read(r1, address, socket),
      store('u32', flow, offset + 12, r1),
    ]),
    ja(name('mapped')),
    label(name('inet6')),
    ([[Value.laddr, field.saddr6], [Value.raddr, field.daddr6]] as const).map(([offset, address]) => address === undefined ? [] : [0, 8].map(half => [
      read(r1, { offset: address.offset + half, size: 8 }, socket),
      store('u64', flow, offset + half, r1),
    ])),
    load(r1, 'u64', flow, Value.raddr),
    jne(r1, 0, name('native')),
    load(r1, 'u32', flow, Value.raddr + 8),
    jne32(r1, mappedWord, name('native')),
    label(name('mapped')),
    filter.family === 6 ? ja(none) : [store('u16', flow, Value.family, 4), ja(name('ports'))],
    label(name('native')),
    filter.family === 4 ? ja(none) : store('u16', flow, Value.family, 6),
    label(name('ports')),
    read(r1, field.dport, socket),
    store('u16', flow, Value.rport, r1),
    origin === 'mptcp' ? [read(r1, field.num, socket), be(r1, 16)] : read(r1, field.sport, socket),
    store('u16', flow, Value.lport, r1),
    service,
    read(r1, field.net, socket),
    read(r1, field.netInum, r1),
    store('u32', flow, Value.netns, r1),
  ]
}

/** Sets from where the bytes of `socket` count. */
function baseline(context: Context, origin: Origin): Code {
  const { access, field } = context
  const done = `${origin}_baseline`
  // Iterators, and calls that have returned, see a socket without its lock.
  const racing = { racing: origin === 'seeded' || origin === 'unowned' || !context.locked }
  const isn = [firstSequence(context, origin, racing), note('isn', store('u32', flow, Value.isn, r1))]
  const sent = [
    queued(context, racing),
    lessFin(`${origin}_fin`, 'closed'),
    store('u64', flow, Value.txSeen, r1),
    jne(r3, state.close, `${origin}_open`),
    note('it has ended already', store('u64', flow, Value.txEnd, r1)),
    label(`${origin}_open`),
  ]
  const received = [consumed(context, `${origin}_seen`, racing), store('u64', flow, Value.rxSeen, r1)]
  // Programs may miss an event: where one is preempted, or interrupted, others on that processor are left out (bpf_prog_inc_misses).
  const unlessNew = [
    loadMapValue(r2, mapName.known, 0),
    load(r2, 'u64', r2, Known.found),
    note('all that was there before us is known: its beginning was missed, and all of it counts', jeq(r2, 0, `${origin}_old`)),
    store('u64', flow, Value.txSeen, 0),
    access.read(r1, field.backlog, socket),
    note('accepted', jne(r1, 0, done)),
    note('the SYN', store('u64', flow, Value.txSeen, 1)),
    ja(done),
    label(`${origin}_old`),
  ]
  const late = [
    isn,
    access.read(r1, field.state, socket),
    note('fast open: all of it is new', jeq(r1, state.synRecv, done)),
    sent,
    unlessNew,
    origin === 'sending' ? [load(r1, 'u64', flow, Value.txSeen), sub(r1, amount), store('u64', flow, Value.txSeen, r1)] : [],
    received,
    label(done),
  ]
  switch (origin) {
    case 'opened':
      return [established(), isn, syn(context, done), label(done)]
    case 'accepted':
      return [established(), isn]
    case 'sending':
    case 'used':
      return [
        // What it moved before us is not counted, but what the kernel moves for it next is its.
        origin === 'used' ? expectCurrent(context, `${origin}_user`) : [],
        access.read(r1, field.state, socket),
        jne(r1, state.synSent, `${origin}_connected`),
        note('counted when the connection stands', store('u64', flow, Value.txSeen, 1)),
        origin === 'sending' ? [access.current(), ifWanted(context, done), expect(context)] : [],
        ja(done),
        label(`${origin}_connected`),
        late,
      ]
    case 'receiving':
      return [late, expectCurrent(context, `${origin}_user`)]
    case 'ending':
      return late
    case 'seeded':
      return [
        access.read(r1, field.state, socket),
        jne(r1, state.synSent, 'seeded_connected'),
        note('a call waits for the connection, with data perhaps', store('u64', flow, Value.txSeen, 1)),
        ja('seeded_user'),
        label('seeded_connected'),
        isn, sent, received,
        label('seeded_user'),
        ifWanted(context, 'seeded_expected'),
        expect(context),
        label('seeded_expected'),
      ]
    case 'unowned':
      return [isn, sent, received]
    case 'mptcp':
      return [
        access.read(r1, field.state, socket),
        jne(r1, state.close, done),
        note('closed already: there will be no other sign', store('u32', flow, Value.flags, Flag.gone)),
        label(done),
      ]
  }
}

/** From now on the connection of `flow` lasts. Clobbers r0 to r5. */
export function established(): Code {
  return [note('it is established', call('ktime_get_ns')), store('u64', flow, Value.opened, r0), store('u64', flow, Value.ended, 0)]
}

/**
 * Of a connection that is being established, whose new state is in r9: the SYN is no byte that was sent. A socket under repair
 * (TCP_REPAIR) is established without one.
 */
export function syn({ access, field }: Context, done: string): Code {
  return [
    note('the SYN', store('u64', flow, Value.txSeen, 1)),
    jne(r9, state.established, done),
    access.read(r1, field.bytesAcked, socket),
    jne(r1, 0, done),
    note('under repair', store('u64', flow, Value.txSeen, 0)),
  ]
}

/** The same of the current process, if it is at work on `socket` and is no thread of the kernel. `task` is lost. */
export function expectCurrent(context: Context, done: string): Code {
  const { access, field } = context
  return [
    access.read(r1, field.owned, socket),
    note('the kernel’s own work', jeq(r1, 0, done)),
    access.current(),
    access.read(r1, field.taskFlags, task),
    jset(r1, kernelThread, done),
    ifWanted(context, done),
    expect(context),
    label(done),
  ]
}

/** Goes to `otherwise` when the process at work was found not to be wanted. */
function ifWanted({ filter }: Context, otherwise: string): Code {
  return choosesProcesses(filter) ? [load(r1, 'u64', r10, stack.wanted), jeq(r1, 0, otherwise)] : []
}

/** Notes `task` as the process that will be charged if the kernel moves bytes before anybody else does. */
export function expect(context: Context): Code {
  const { access, field } = context
  return [access.read(r1, field.tgid, task), store('u32', flow, Value.last, r1), copyComm(context), copyOrigin(context, flow, 0)]
}

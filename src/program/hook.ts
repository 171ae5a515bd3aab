import {
  and, atomicAdd, call, type Code, ja, jeq, jne, jset, jsle32, label, load, loadMapValue, lsh, mov, note, r0, r1, r2,
  r6, r7, r9, store,
} from '../../bpf-asm/index.js'
import { Flag, Stat, Value } from '../layout.js'
import { chargeCurrent, chargeLast, leave, lose } from './charge.js'
import {
  amount, asTcp, type Context, find, findMptcp, flow, ifRedirected, mapName, maskOf, protocol, read, socket, state, task,
} from './context.js'
import { consumed, consumedUrgent, firstSequence, queued, takeConsumed, takeQueued } from './counter.js'
import { enter, identify, storage } from './enter.js'
import { admit, choosesProcesses } from './filter.js'

/** `trace_sock_send_length(sk, ret, flags)`, since 6.3, after the lock is released: charges what the caller sent. */
export function sent(context: Context): Code {
  const { field } = context
  return [
    note('the return value: nothing sent, nothing to do', load(amount, 'u32', r1, 8)),
    jsle32(amount, 0, 'exit'),
    load(r6, 'u64', r1, 0),
    read(r1, field.protocol, r6),
    jne(r1, protocol.tcp, 'mptcp'),
    asTcp(context, r6, 'exit'),
    find(context),
    jeq(r0, 0, 'enter'),
    label('found'),
    ifRedirected(context, socket, 'redirected'),
    takeQueued(context, 'exit'),
    label('counted'),
    chargeCurrent(context, 'tx'),
    label('exit'),
    leave(),
    label('redirected'),
    queued(context),
    note('what it queued itself, if anything, is in the return value', store('u64', flow, Value.txSeen, r1)),
    ja('counted'),
    label('enter'),
    enter(context, 'sending', { found: 'found', spilled: 'spilled', none: 'exit' }),
    label('spilled'),
    takeQueued(context, 'exit', { name: 'spill' }),
    label('unattributed'),
    loseCurrent(context),
    label('mptcp'),
    jne(r1, protocol.mptcp, 'exit'),
    returned(context),
  ]
}

/**
 * `trace_sock_recv_length(sk, ret, flags)`, since 6.3: charges what the caller received from a socket whose sequence numbers do not
 * tell: one of MPTCP, or one in a sockmap.
 */
export function received(context: Context): Code {
  const { field } = context
  /** `MSG_PEEK | MSG_ERRQUEUE` (include/linux/socket.h): not taken out of the receive queue, or no data. */
  const notTaken = 0x2 | 0x2000
  return [
    load(amount, 'u32', r1, 8),
    jsle32(amount, 0, 'exit'),
    load(r6, 'u64', r1, 0),
    load(r2, 'u32', r1, 16),
    jset(r2, notTaken, 'exit'),
    read(r1, field.protocol, r6),
    jeq(r1, protocol.mptcp, 'mptcp'),
    jne(r1, protocol.tcp, 'exit'),
    ifRedirected(context, r6, 'redirected'),
    ja('exit'),
    label('redirected'),
    asTcp(context, r6, 'exit'),
    find(context),
    jne(r0, 0, 'counted'),
    enter(context, 'receiving', { found: 'counted', spilled: 'unattributed', none: 'exit' }),
    label('counted'),
    chargeCurrent(context, 'rx'),
    label('exit'),
    leave(),
    label('mptcp'),
    returned(context),
    label('unattributed'),
    loseCurrent(context),
  ]
}

/** `trace_tcp_rcv_space_adjust(sk)`, under the lock: charges what the reader took out of the receive queue. */
export function consumedBy(context: Context): Code {
  const { field } = context
  return [
    load(r6, 'u64', r1, 0),
    asTcp(context, r6, 'exit'),
    find(context),
    jeq(r0, 0, 'enter'),
    label('found'),
    ifRedirected(context, socket, 'redirected'),
    consumed(context),
    takeConsumed('exit'),
    read(r1, field.owned, socket),
    note('without an owner the lock is the kernel’s', jeq(r1, 0, 'unattended')),
    chargeCurrent(context, 'rx'),
    label('exit'),
    leave(),
    label('enter'),
    enter(context, 'receiving', { found: 'found', spilled: 'spilled', none: 'exit' }),
    label('spilled'),
    consumed(context, 'spill'),
    takeConsumed('exit'),
    loseCurrent(context),
    label('redirected'),
    consumed(context, 'redirected'),
    note('what the caller gets is in the return value', store('u64', flow, Value.rxSeen, r1)),
    leave(),
  ]
}

/**
 * `trace_inet_sock_set_state(sk, old, new)`, under the lock and before the new state is stored: makes the entry of a connection that
 * leaves its handshake, ends that of one whose socket connects once more, and takes a last reading before the FIN and at the end.
 */
export function stateSet(context: Context): Code {
  const { field } = context
  const ending = (1 << state.finWait1) | (1 << state.lastAck) | (1 << state.close)
  /** `SOCK_BINDPORT_LOCK` (include/net/sock.h): the process chose the port, so that the next connection has it too. */
  const portChosen = 8 << (field.userlocks.bitOffset ?? 0)
  return [
    load(r6, 'u64', r1, 0),
    load(r9, 'u32', r1, 16),
    load(r7, 'u32', r1, 8),
    read(r2, field.protocol, r6),
    jne(r2, protocol.tcp, 'mptcp'),
    note('r7: the old state, r9: the new one', jeq(r7, state.synSent, 'interesting')),
    jeq(r7, state.synRecv, 'interesting'),
    jeq(r7, state.listen, 'exit'),
    mov(r1, 1),
    lsh(r1, r9),
    and(r1, ending | 1 << state.synSent),
    jeq(r1, 0, 'exit'),
    label('interesting'),
    asTcp(context, r6, 'exit'),
    find(context),
    jeq(r0, 0, 'unknown'),
    jeq(r9, state.synSent, 'anew'),
    jne(r7, state.synSent, 'read'),
    note('fast open, or the chosen port once more', firstSequence(context, 'again')),
    store('u32', flow, Value.isn, r1),
    store('u64', flow, Value.txSeen, 1),
    store('u64', flow, Value.rxSeen, 0),
    identify(context, 'opened', 'exit', 'again'),
    label('read'),
    settle(context),
    label('exit'),
    leave(),

    label('anew'),
    read(r1, field.userlocks, socket),
    jset(r1, portChosen, 'exit'),
    note('the port will be another: this connection is over', markGone()),
    leave(),

    label('unknown'),
    jeq(r9, state.synSent, 'exit'),
    jeq(r9, state.close, 'spilled'),
    jeq(r7, state.synSent, 'opened'),
    jne(r7, state.synRecv, 'spilled'),
    enter(context, 'accepted', { found: 'exit', spilled: 'exit', none: 'exit' }),
    label('opened'),
    enter(context, 'opened', { found: 'exit', spilled: 'exit', none: 'exit' }),
    label('spilled'),
    settleSpilled(context),

    label('mptcp'),
    note('an MPTCP socket gives no other sign of its end', jne(r2, protocol.mptcp, 'exit')),
    jne(r9, state.close, 'exit'),
    findMptcp(context),
    jeq(r0, 0, 'exit'),
    markGone(),
    leave(),
  ]
}

/** `trace_tcp_destroy_sock(sk)`: the last reading; after it nobody can move bytes. */
export function destroyed(context: Context): Code {
  return [
    load(r6, 'u64', r1, 0),
    asTcp(context, r6, 'exit'),
    find(context),
    jeq(r0, 0, 'spilled'),
    settle(context),
    markGone(),
    label('exit'),
    leave(),
    label('spilled'),
    settleSpilled(context),
  ]
}

/** Every open file of every process (`iter/task_file`): a TCP socket that was there before us counts from here. */
export function seedFile(context: Context): Code {
  const { field } = context
  const iterator = { task: 8, file: 24 }
  return [
    note('struct bpf_iter__task_file', load(r2, 'u64', r1, iterator.file)),
    jeq(r2, 0, 'exit'),
    load(r9, 'u64', r1, iterator.task),
    jeq(r9, 0, 'exit'),
    mov(r1, r2),
    call('sock_from_file'),
    jeq(r0, 0, 'exit'),
    read(r6, field.socketSk, r0),
    jeq(r6, 0, 'exit'),
    read(r1, field.protocol, r6),
    jne(r1, protocol.tcp, 'exit'),
    seed(context, 'seeded'),
    label('exit'),
    leave(),
  ]
}

/**
 * Every TCP socket of the network namespace (`iter/tcp`): one that no process has open, because nobody has accepted it yet or because
 * it is the kernel's, counts from here.
 */
export function seedSocket(context: Context): Code {
  return [
    note('struct bpf_iter__tcp', load(r6, 'u64', r1, 8)),
    jeq(r6, 0, 'exit'),
    seed(context, 'unowned'),
    label('exit'),
    leave(),
  ]
}

/** Makes the entry of r6 if it is a connection that has none. */
function seed(context: Context, origin: 'seeded' | 'unowned'): Code {
  const { field } = context
  return [
    asTcp(context, r6, 'exit'),
    read(r1, field.dport, socket),
    note('not connected yet, or listening', jeq(r1, 0, 'exit')),
    read(r1, field.state, socket),
    jeq(r1, state.synSent, 'exit'),
    find(context),
    jne(r0, 0, 'exit'),
    enter(context, origin, { found: 'exit', spilled: 'exit', none: 'exit' }),
  ]
}

/** Charges the whole of `amount`, the return value of a call on an MPTCP socket, whose own counters mean other things. */
function returned(context: Context): Code {
  return [findMptcp(context), jne(r0, 0, 'counted'), enter(context, 'mptcp', { found: 'counted', spilled: 'unattributed', none: 'exit' })]
}

/** Counts `amount` as lost, if the current process is wanted. */
function loseCurrent(context: Context): Code {
  return [
    choosesProcesses(context.filter) ? [call('get_current_task_btf'), mov(task, r0), admit(context, 'exit', 'admit_lost')] : [],
    ja('lose'),
  ]
}

/** Takes the last reading of `flow`. What only shows up now was moved by the kernel, or by a process that is still on its way. */
function settle(context: Context): Code {
  return [
    unlessSubflow(context, 'settled'),
    note('r9: the socket’s own entry', mov(r9, flow)),
    takeQueued(context, 'settle_rx', { bounded: false }),
    chargeLast(context, 'tx', 'settle_tx'),
    label('settle_rx'),
    mov(flow, r9),
    consumed(context),
    consumedUrgent(context),
    takeConsumed('settled'),
    chargeLast(context, 'rx', 'settle_last'),
    mov(flow, r9),
    label('settled'),
  ]
}

/** The same for a socket that the map had no room for; ends the program. */
function settleSpilled(context: Context): Code {
  if (choosesProcesses(context.filter)) return leave()
  return [
    unlessSubflow(context, 'exit'),
    storage(0),
    jeq(r0, 0, 'exit'),
    mov(flow, r0),
    takeQueued(context, 'spilled_rx', { name: 'spill_tx', bounded: false }),
    lose('tx'),
    label('spilled_rx'),
    consumed(context, 'spill_rx'),
    takeConsumed('exit'),
    lose('rx'),
    leave(),
  ]
}

/** Goes to `label` for a subflow of an MPTCP socket: its bytes are counted where the application moves them. */
function unlessSubflow({ field }: Context, otherwise: string): Code {
  const { subflow } = field
  return subflow === undefined ? [] : [read(r1, subflow, socket), jset(r1, maskOf(subflow), otherwise)]
}

function markGone(): Code {
  return [
    store('u32', flow, Value.flags, Flag.gone),
    loadMapValue(r1, mapName.stats, 0),
    mov(r2, 1),
    atomicAdd('u64', r1, Stat.gone, r2),
  ]
}

import { address, all, block, type Code, is, ja, loadMapValue, lookup, mov, note, type Place, r0, r1, r2, r3, r9, sub, when } from '../../bpf-asm/index.js'
import { Flag } from '../layout.js'
import { admit, admitTask, canAdmitTask } from './admit.js'
import type { Context } from './context.js'
import { consumed, firstSequence, lessFin, queued } from './counter.js'
import { copyComm, copyOrigin, established, fill, identify, insert, type Origin } from './entry.js'
import { choosesProcesses } from './filter.js'
import { amount, flow, Known, mapName, socket, stack, task } from './frame.js'
import { kernelThread, socketDead, state } from './kernel.js'

/**
 * Makes the flow of `socket` and leaves for `found`. Where the map has no space, or with a filter no wanted process has used the socket yet, `flow` is
 * what is kept beside it, from which bytes can only be counted as lost. Leaves for `none` when the socket is not wanted. `isReturn`: a process is at
 * work though it may have released the socket.
 */
export function enter(
  context: Context, origin: Origin, found: Place, none: Place, { isReturn = origin === 'sending' || origin === 'mptcp' } = {},
): Code {
  const { filter } = context
  const chooses = choosesProcesses(filter)
  const isUsed = origin === 'sending' || origin === 'receiving' || origin === 'used'
  return block('spilled', spilled => [
    chooses && (isUsed || origin === 'mptcp') ? unlessUnwanted(context, origin, { spilled, none }, isReturn) : [],
    chooses && origin === 'seeded' ? [
      stack.wanted.store(0),
      canAdmitTask(context) ? block('admitted', admitted => [admitTask(context, admitted), stack.wanted.store(1)]) : [],
    ] : [],
    note('the flow is made on the stack', address(flow, stack.value)),
    fill(context, origin),
    identify(context, origin, none),
    baseline(context, origin),
    context.access.remember(isUsed || chooses, none),
    origin === 'mptcp' ? toMap(found) : publish(context, !chooses ? 'always' : isUsed || origin === 'seeded' ? 'when wanted' : 'never', found, none),
  ])
}

/**
 * Puts a flow that was made and remembered into the map and leaves for `found`; without space, or when it does not belong there, `flow =` what is kept
 * beside it. Leaves for `none` when that has no space either.
 */
export function publish({ access }: Context, inMap: 'always' | 'when wanted' | 'never', found: Place, none: Place): Code {
  return [
    inMap === 'never' ? [] : inMap === 'always' ? toMap(found) : block('keep', keep => [
      stack.wanted.load(r1),
      note('the map is for what is wanted', is.eq(r1, 0).jump(keep)),
      toMap(found),
    ]),
    access.kept(true),
    is.eq(r0, 0).jump(none),
    mov(flow, r0),
  ]
}

function toMap(found: Place): Code {
  return [insert(), lookup(mapName.flows, stack.key), mov(flow, r0), is.ne(r0, 0).jump(found)]
}

/**
 * With a filter of processes, a socket that none of them has used yet takes no space in the map: what is moved on it is followed beside it. Leaves for
 * `spilled` with that if it is known for this connection. Otherwise goes on to make it, with the answer in `stack.wanted`.
 */
function unlessUnwanted(context: Context, origin: Origin, { spilled, none }: { readonly spilled: Place; readonly none: Place }, isReturn: boolean): Code {
  const { access, field } = context
  return block('make', make => [
    block('unwanted', unwanted => [
      stack.wanted.store(0),
      // After the lock is released, as at any call, a process is at work.
      isReturn ? [] : [access.read(r1, field.owned, socket), is.eq(r1, 0).jump(unwanted)],
      access.current(),
      access.read(r1, field.taskFlags, task),
      is.set(r1, kernelThread).jump(unwanted),
      admit(context, unwanted),
      stack.wanted.store(1),
      ja(make),
    ]),
    origin === 'mptcp' ? ja(none) : [
      access.kept(false),
      is.eq(r0, 0).jump(make),
      mov(flow, r0),
      firstSequence(context, { racing: false }),
      flow.isn.load(r2),
      is.eq32(r1, r2).jump(spilled),
    ],
  ])
}

/** Leaves for `otherwise` when no process has the socket any more (`SOCK_DEAD`): its end may have come already. */
export function unlessDead({ access, field }: Context, otherwise: Place): Code {
  return [access.read(r1, field.flags, socket), is.set(r1, socketDead).jump(otherwise)]
}

/** Sets from where the bytes of `socket` count. */
function baseline(context: Context, origin: Origin): Code {
  const { access, field } = context
  // Iterators, and calls that have returned, see a socket without its lock.
  const racing = { racing: origin === 'seeded' || origin === 'unowned' || !context.locked }
  const isn = () => [firstSequence(context, racing), note('isn', flow.isn.store(r1))]
  const sent = () => [
    queued(context, racing),
    lessFin('closed'),
    flow.txSeen.store(r1),
    when(is.eq(r3, state.close), note('it has ended already', flow.txEnd.store(r1))),
  ]
  const received = () => [consumed(context, racing), flow.rxSeen.store(r1)]
  const isConnecting = is.eq(r1, state.synSent).after(access.read(r1, field.state, socket))
  /** The socket is there, and its beginning was not seen. */
  const late = (done: Place) => [
    isn(),
    access.read(r1, field.state, socket),
    note('fast open: all of it is new', is.eq(r1, state.synRecv).jump(done)),
    sent(),
    // Programs may miss an event: where one is preempted or interrupted, others on that CPU are skipped (bpf_prog_inc_misses).
    loadMapValue(r2, mapName.known, 0),
    note('all older sockets are known: if so, its beginning was missed and all of it counts', Known.in(r2).found.load(r2)),
    when(is.ne(r2, 0), [
      flow.txSeen.store(0),
      access.read(r1, field.backlog, socket),
      note('accepted', is.ne(r1, 0).jump(done)),
      note('the SYN', flow.txSeen.store(1)),
      ja(done),
    ]),
    origin === 'sending' ? [flow.txSeen.load(r1), sub(r1, amount), flow.txSeen.store(r1)] : [],
    received(),
  ]
  switch (origin) {
    case 'opened':
      return [established(), isn(), syn(context)]
    case 'accepted':
      return [established(), isn()]
    case 'sending':
    case 'used':
      return block('counted', done => [
        // What it moved before is not counted, but what the kernel moves for it next is its.
        origin === 'used' ? expectCurrent(context) : [],
        when(isConnecting, [
          note('counted when the connection is established', flow.txSeen.store(1)),
          origin === 'sending' ? [access.current(), unlessUnwantedTask(context, done), expect(context)] : [],
          ja(done),
        ]),
        late(done),
      ])
    case 'receiving':
      return [block('counted', late), expectCurrent(context)]
    case 'ending':
      return block('counted', late)
    case 'seeded':
      return [
        when(
          isConnecting,
          note('a call waits for the connection, perhaps with data', flow.txSeen.store(1)),
          [isn(), sent(), received()],
        ),
        block('expected', done => [unlessUnwantedTask(context, done), expect(context)]),
      ]
    case 'unowned':
      return [isn(), sent(), received()]
    case 'mptcp':
      return [
        access.read(r1, field.state, socket),
        when(is.eq(r1, state.close), note('closed already: nothing else will say so', flow.flags.store(Flag.gone))),
      ]
  }
}

/**
 * Of a connection that is being established, whose new state is in r9: the SYN is no byte that was sent. A socket under repair (TCP_REPAIR) is
 * established without one.
 */
export function syn({ access, field }: Context): Code {
  return [
    note('the SYN', flow.txSeen.store(1)),
    when(all(is.eq(r9, state.established), is.eq(r1, 0).after(access.read(r1, field.bytesAcked, socket))), note('under repair', flow.txSeen.store(0))),
  ]
}

/** Expects the current process, if it is at work on `socket` and is no thread of the kernel. `task` is lost. Clobbers r0 to r5. */
export function expectCurrent(context: Context): Code {
  const { access, field } = context
  return block('expected', done => [
    access.read(r1, field.owned, socket),
    note('the kernel’s own work', is.eq(r1, 0).jump(done)),
    access.current(),
    access.read(r1, field.taskFlags, task),
    is.set(r1, kernelThread).jump(done),
    unlessUnwantedTask(context, done),
    expect(context),
  ])
}

/** Leaves for `otherwise` when the process at work was found to be unwanted. */
function unlessUnwantedTask({ filter }: Context, otherwise: Place): Code {
  return choosesProcesses(filter) ? [stack.wanted.load(r1), is.eq(r1, 0).jump(otherwise)] : []
}

/** Expects `task`: its process will be charged if the kernel moves bytes before any process does. Clobbers r0 to r5. */
function expect(context: Context): Code {
  const { access, field } = context
  return [access.read(r1, field.tgid, task), flow.last.store(r1), copyComm(context), copyOrigin(context, flow)]
}

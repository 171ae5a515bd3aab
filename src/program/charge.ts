import {
  aside, block, type Code, copy, is, ja, label, leave, loadImm64, lookup, mov, mov32, note, part, type Place, place, r0, r1, r2, unless, when, zero,
} from '../../bpf-asm/index.js'
import { Pid } from '../layout.js'
import { admit, notePidInside } from './admit.js'
import { type Context, isAlone } from './context.js'
import { copyOrigin, insert, nobody, refreshComm } from './entry.js'
import { choosesProcesses } from './filter.js'
import { flow, mapName, stack, task } from './frame.js'
import { kernelThread } from './kernel.js'
import { lose, type Moved } from './moved.js'
import { makeSlot } from './slot.js'

/** The name of what is no process: `kernel` as 8 bytes. */
const kernelName = new DataView(new TextEncoder().encode('kernel\0\0').buffer).getBigUint64(0, true)
/** `Pid.filtered` as a signed immediate */
const filtered = Pid.filtered | 0

/** The ways to charge what was moved. */
export interface Charge {
  /**
   * Charges the current process, which is at work on the socket. The first process that moves bytes owns the flow and is charged in it; any other gets
   * a share beside it. Ends the program for some processes.
   */
  readonly current: Code
  /** For what the kernel moved: charges the process that used the socket last, and ends the program. */
  readonly last: Place
  /** Counts it as lost, and ends the program. */
  readonly lost: Place
}

/** The ways to charge `moved` to a process in `flow`. With `makesSlot`, an owner that is alone with the socket counts in a slot from then on. */
export function chargeOf(context: Context, moved: Moved, { makesSlot = false } = {}): Charge {
  const { field, filter, access } = context
  const byId = { ...filter, cgroup: false, cgroupIds: false, mntnsIds: false }
  const byGroup = { ...filter, pids: [] }
  const last = aside('unattended', () => [chargeLast(context, moved), leave()])
  const lost = aside('lose', () => [lose(moved), leave()])
  const unwanted = aside('filtered', () => [
    note('what the kernel moves for it is not wanted either', flow.last.store(filtered)),
    leave(),
  ])
  const unlessKernel = [access.read(r1, field.taskFlags, task), is.set(r1, kernelThread).jump(last)]
  const own = place('own')
  const other = aside('other', () => [
    choosesProcesses(byGroup) ? [] : unlessKernel,
    admit({ ...context, filter: byId }, unwanted),
    access.tgid(r1),
    flow.pid.load(r2),
    when(is.eq32(r2, nobody), block('share', share => [
      note('the first to move bytes owns the flow', claim(context)),
      isAlone(context) ? [] : unless(is.eq32(r0, nobody), [is.eq(r0, r1).jump(own), ja(share)]),
      copyOrigin(context, flow),
      notePidInside(context),
      access.tgid(r1),
      ja(own),
    ])),
    flow.last.store(r1),
    note('the process’s share beside the flow', stack.key.pid.store(r1)),
    lookup(mapName.flows, stack.key),
    when(is.eq(r0, 0), [
      notePidInside(context),
      access.tgid(r1),
      copyShare(),
      copyOrigin(context, stack.value),
      insert(),
      lookup(mapName.flows, stack.key),
      is.eq(r0, 0).jump(lost),
    ]),
    mov(flow, r0),
    access.tgid(r1),
    ja(own),
  ])
  const current = [
    access.current(),
    choosesProcesses(byGroup) ? [unlessKernel, admit({ ...context, filter: byGroup }, unwanted)] : [],
    access.tgid(r1),
    flow.pid.load(r2),
    note('the owner was checked when it became that', is.ne(r2, r1).jump(other)),
    label(own),
    flow.last.load(r2),
    makesSlot ? stack.scratch.id.store(r2) : [],
    unless(is.eq(r2, r1), flow.last.store(r1)),
    refreshComm(context),
    moved(flow),
    makesSlot ? [stack.scratch.id.load(r1), makeSlot(context)] : [],
  ]
  return { current, last, lost }
}

/** Makes r1 the owner of `flow`, which has none. Where others may do that too, r0 is then the owner before: one that was faster, or nobody. */
function claim(context: Context): Code {
  return isAlone(context) ? flow.pid.store(r1) : [mov32(r0, nobody), flow.pid.compareExchange(r1)]
}

/** Charges what the kernel moved while no process was at work to the process that used the socket last. Clobbers r0 to r5 and `flow`. */
export function chargeLast(context: Context, moved: Moved): Code {
  return block('done', done => [
    flow.last.load(r1),
    choosesProcesses(context.filter) ? [is.eq32(r1, filtered).jump(done), is.eq32(r1, nobody).jump(done)] : when(is.eq32(r1, nobody), [
      note('no process ever used it: a socket of the kernel', loadImm64(r1, kernelName)),
      part(flow.comm, 0, 'u64').store(r1),
      mov(r1, Pid.kernel),
    ]),
    block('add', add => [
      flow.pid.load(r2),
      is.eq(r2, r1).jump(add),
      when(is.eq32(r2, nobody), [
        claim(context),
        isAlone(context) ? ja(add) : [is.eq32(r0, nobody).jump(add), is.eq(r0, r1).jump(add)],
      ]),
      stack.key.pid.store(r1),
      lookup(mapName.flows, stack.key),
      when(is.eq(r0, 0), [note('the map had no space for its share', lose(moved)), ja(done)]),
      mov(flow, r0),
    ]),
    moved(flow),
  ])
}

/** Counts what was moved as lost if the current process is wanted; otherwise leaves for `none`. Ends the program. */
export function loseCurrent({ access, filter, ...context }: Context, lost: Place, none: Place): Code {
  return [choosesProcesses(filter) ? [access.current(), admit({ access, filter, ...context }, none)] : [], ja(lost)]
}

/** `stack.value =` a share of r1 in the socket of `flow`. Clobbers r2. */
function copyShare(): Code {
  const { value } = stack
  return [
    zero(value.own),
    value.pid.store(r1),
    value.last.store(r1),
    copy(value.common, flow.common, r2),
  ]
}

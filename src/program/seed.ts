import { aside, type Code, is, ja, load, mov, note, type Place, r0, r1, r8 } from '../../bpf-asm/index.js'
import { unsettledIfBusy } from './audit.js'
import type { Context } from './context.js'
import { enter } from './enter.js'
import { withFlow } from './flow.js'
import { program, socket, task } from './frame.js'
import { state } from './kernel.js'
import { seedMptcp, unlessCountedAtMptcp } from './mptcp.js'

/** Every open file of every process (`iter/task_file`): a TCP socket that is older than the programs counts from here. */
export function seedFile(context: Context): Code {
  const { access } = context
  const iterator = { task: 8, file: 24 }
  const file = r8
  return program(exit => [
    note('struct bpf_iter__task_file', load(file, 'u64', r1, iterator.file)),
    is.eq(file, 0).jump(exit),
    load(task, 'u64', r1, iterator.task),
    is.eq(task, 0).jump(exit),
    access.socketOf(file, exit),
    mov(socket, r0),
    seed(context, 'seeded', exit),
  ])
}

/**
 * Every TCP socket of the network namespace (`iter/tcp`): one that no process has open, because none has accepted it yet or because
 * it is the kernel's, counts from here.
 */
export function seedSocket(context: Context): Code {
  return program(exit => [
    note('struct bpf_iter__tcp', load(socket, 'u64', r1, 8)),
    is.eq(socket, 0).jump(exit),
    seed(context, 'unowned', exit),
  ])
}

/** Makes the flow of `socket` if it is a connection that has none. */
function seed(context: Context, origin: 'seeded' | 'unowned', exit: Place): Code {
  const { access, field, mptcp } = context
  // The iterator of sockets shows TCP's alone.
  const noTcp = mptcp !== undefined && origin === 'seeded' ? aside('mptcp', () => seedMptcp(context, exit)) : exit
  return [
    access.asTcp(socket, noTcp),
    unlessCountedAtMptcp(context, exit),
    access.read(r1, field.dport, socket),
    note('not connected yet, or listening', is.eq(r1, 0).jump(exit)),
    origin === 'seeded' ? [] : [access.read(r1, field.state, socket), is.eq(r1, state.synSent).jump(exit)],
    withFlow(context, {
      find: unknown => [access.find(), is.eq(r0, 0).jump(unknown)],
      make: known => enter(context, origin, known, exit),
      found: unsettledIfBusy(context, exit),
      spilled: ja(exit),
    }),
  ]
}

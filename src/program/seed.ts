import { type Code, ja, jeq, jne, label, load, mov, note, r0, r1, r6, r8, r9 } from '../../bpf-asm/index.js'
import { leave } from './charge.js'
import { type Context, socket, state } from './context.js'
import { unsettledIfBusy } from './audit.js'
import { enter } from './enter.js'
import { seedMptcp, unlessCountedAtMptcp } from './mptcp.js'

/** Every open file of every process (`iter/task_file`): a TCP socket that was there before us counts from here. */
export function seedFile(context: Context): Code {
  const { access } = context
  const iterator = { task: 8, file: 24 }
  return [
    note('struct bpf_iter__task_file', load(r8, 'u64', r1, iterator.file)),
    jeq(r8, 0, 'exit'),
    load(r9, 'u64', r1, iterator.task),
    jeq(r9, 0, 'exit'),
    access.socketOf(r8, 'exit'),
    mov(r6, r0),
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
  const { access, field, mptcp } = context
  // The iterator of sockets shows TCP's alone.
  const seesMptcp = mptcp !== undefined && origin === 'seeded'
  return [
    access.asTcp(r6, seesMptcp ? 'mptcp' : 'exit'),
    unlessCountedAtMptcp(context, 'exit'),
    access.read(r1, field.dport, socket),
    note('not connected yet, or listening', jeq(r1, 0, 'exit')),
    origin === 'seeded' ? [] : [access.read(r1, field.state, socket), jeq(r1, state.synSent, 'exit')],
    access.find(),
    jne(r0, 0, 'known'),
    enter(context, origin, { found: 'known', spilled: 'exit', none: 'exit' }),
    label('known'),
    unsettledIfBusy(context),
    seesMptcp ? [ja('exit'), label('mptcp'), seedMptcp(context)] : [],
  ]
}

import { type Code, is, load, mov, note, r1, update, zero } from '../../bpf-asm/index.js'
import type { Context } from './context.js'
import { amount, mapName, program, stack, task } from './frame.js'
import { noteRename } from './slot.js'

/** Processes whose names are kept: the ones renamed least recently go first. */
export const keptNames = 4096

/**
 * `trace_task_rename(task, name)`, right before the task gets the name: what its process is called from now on, if it is the leader of its
 * thread group. Also at exec, where the calling thread has become the leader already (de_thread, fs/exec.c).
 */
export function renamed(context: Context): Code {
  const { access, field, slots } = context
  const { scratch: { id: process }, name: value } = stack
  const name = amount
  return program(exit => [
    load(task, 'u64', r1, 0),
    load(name, 'u64', r1, 8),
    note('the name of another thread is not its process’s', access.read(r1, field.leader, task)),
    is.ne(r1, task).jump(exit),
    access.read(r1, field.tgid, task),
    process.store(r1),
    slots ? noteRename(process) : [],
    field.startTime === undefined ? mov(r1, 0) : access.read(r1, field.startTime, task),
    value.start.store(r1),
    zero(value.comm),
    access.copyText(value.comm, name),
    update(mapName.names, process, value),
  ])
}

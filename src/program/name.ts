import { type Code, jne, label, load, mov, note, r1, r10, store } from '../../bpf-asm/index.js'
import { Name } from '../layout.js'
import { update } from './access.js'
import { leave } from './charge.js'
import { amount, type Context, mapName, stack, task } from './context.js'
import { noteRename } from './pocket.js'

/** Processes whose names are kept: what is renamed least recently goes first. */
export const keptNames = 4096

/**
 * `trace_task_rename(task, name)`, right before the task has that name: what its process is called from now on, if it is the leader of its
 * thread group. Also at exec, where the thread that calls it has become the leader already (de_thread, fs/exec.c).
 */
export function renamed(context: Context): Code {
  const { access, field, pocket } = context
  const [key, value, name] = [stack.filterKey, stack.value, amount]
  return [
    load(task, 'u64', r1, 0),
    load(name, 'u64', r1, 8),
    note('the name of another thread is not its process’s', access.read(r1, field.leader, task)),
    jne(r1, task, 'exit'),
    access.read(r1, field.tgid, task),
    store('u32', r10, key, r1),
    pocket ? noteRename(key) : [],
    field.startTime === undefined ? mov(r1, 0) : access.read(r1, field.startTime, task),
    store('u64', r10, value + Name.start, r1),
    [0, 8].map(word => store('u64', r10, value + Name.comm + word, 0)),
    access.copyText(value + Name.comm, name),
    update(mapName.names, key, value),
    label('exit'),
    leave(),
  ]
}

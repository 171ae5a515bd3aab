import {
  add, call, type Code, ja, jeq, jeq32, jne, label, load, loadImm64, loadMap, mov, note, r0, r1, r10, r2, r3, r4, store,
} from '../../bpf-asm/index.js'
import { lookup } from './access.js'
import { type Context, mapName, stack, task } from './context.js'

/** A pid namespace: the device and inode of `/proc/self/ns/pid`. */
export interface PidNamespace {
  readonly dev: bigint
  readonly ino: bigint
}

/** Whose bytes are wanted. What is not asked for is absent and costs nothing. */
export interface Filter {
  readonly pids: readonly number[]
  readonly family?: 4 | 6
  /** The current task must be in this cgroup or below: `mapName.cgroup` holds it. */
  readonly cgroup: boolean
  /** The current task's cgroup id must be a key of `mapName.cgroupIds`. */
  readonly cgroupIds: boolean
  /** The current task's mount namespace must be a key of `mapName.mntnsIds`. */
  readonly mntnsIds: boolean
  /** `pids` are of this namespace, and `mapName.pids` tells what processes are called there. Absent in the initial one. */
  readonly pidNamespace?: PidNamespace
}

/** Whether any part of the filter looks at the process. */
export function choosesProcesses({ pids, cgroup, cgroupIds, mntnsIds }: Filter): boolean {
  return pids.length > 0 || cgroup || cgroupIds || mntnsIds
}

/** Where `pidInside` puts a `struct bpf_pidns_info`: the thread's id, then the process'. */
const inside = stack.filterKey

/** r0 is 0, and on the stack what the current thread and process are called in the namespace, if they are right in it. Since Linux 5.7. */
function pidInside({ dev, ino }: PidNamespace): Code {
  return [loadImm64(r1, dev), loadImm64(r2, ino), mov(r3, r10), add(r3, inside), mov(r4, 8), call('get_ns_current_pid_tgid')]
}

/** Notes what the current process, `task`, is called in the namespace, under what it is called on the host. Clobbers r0 to r5. */
export function notePidInside({ access, filter: { pidNamespace } }: Context, name: string): Code {
  return pidNamespace === undefined ? [] : [
    pidInside(pidNamespace),
    note('it is not right in the namespace', jne(r0, 0, name)),
    access.tgid(r1),
    store('u32', r10, stack.passing, r1),
    loadMap(r1, mapName.pids),
    mov(r2, r10),
    add(r2, stack.passing),
    mov(r3, r10),
    add(r3, inside + 4),
    mov(r4, 0),
    call('map_update_elem'),
    label(name),
  ]
}

/** Goes to `reject` unless the current task, which is `task`, passes. Clobbers r0 to r5. */
export function admit({ field, filter, access }: Context, reject: string, name = 'admit'): Code {
  const { read } = access
  return [
    filter.pids.length === 0 ? [] : [
      filter.pidNamespace === undefined ? access.tgid(r1) : [
        pidInside(filter.pidNamespace),
        jne(r0, 0, reject),
        load(r1, 'u32', r10, inside + 4),
      ],
      filter.pids.map(pid => jeq32(r1, pid, name)),
      ja(reject),
      label(name),
    ],
    !filter.cgroup ? [] : [
      note('--cgroup: in it or below', loadMap(r1, mapName.cgroup)),
      mov(r2, 0),
      call('current_task_under_cgroup'),
      jne(r0, 1, reject),
    ],
    !filter.cgroupIds ? [] : [
      note('--cgroupmap: its id is a key', call('get_current_cgroup_id')),
      store('u64', r10, stack.filterKey, r0),
      lookup(mapName.cgroupIds, stack.filterKey),
      jeq(r0, 0, reject),
    ],
    !filter.mntnsIds ? [] : [
      note('--mntnsmap: its inode is a key', read(r1, field.nsproxy, task)),
      jeq(r1, 0, reject),
      read(r1, field.mntNs, r1),
      read(r1, field.mntInum, r1),
      store('u64', r10, stack.filterKey, r1),
      lookup(mapName.mntnsIds, stack.filterKey),
      jeq(r0, 0, reject),
    ],
  ]
}

import {
  add, call, type Code, ja, jeq, jeq32, jne, jne32, label, load, loadImm64, loadMap, loadMapValue, lsh, mov, mov32, note, r0, r1, r10, r2, r3, r4,
  readKernel, store, sub,
} from '../../bpf-asm/index.js'
import { type Access, lookup, update } from './access.js'
import { amount, type Context, flow, Known, mapName, stack, task } from './context.js'
import { type Field, present } from './field.js'

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

/** So many pids are compared one after the other; looking a greater number up in a map takes less. */
const mostCompared = 8

/** The pids that `admit` looks for in `mapName.wanted`: none where it compares them. */
export function wantedOf({ pids }: Filter): readonly number[] {
  return pids.length > mostCompared ? pids : []
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
    update(mapName.pids, stack.passing, inside + 4),
    label(name),
  ]
}

/** Goes to `reject` unless the process r1 is one of those that are wanted. Clobbers r0 to r5. */
function isWanted(filter: Filter, reject: string, name: string): Code {
  return wantedOf(filter).length > 0 ? [
    store('u32', r10, stack.filterKey, r1),
    lookup(mapName.wanted, stack.filterKey),
    jeq(r0, 0, reject),
  ] : [
    filter.pids.map(pid => jeq32(r1, pid, name)),
    ja(reject),
    label(name),
  ]
}

/** Goes to `reject` unless the current task, which is `task`, passes. Clobbers r0 to r5. */
export function admit({ field, filter, access }: Context, reject: string, name = 'admit'): Code {
  return [
    filter.pids.length === 0 ? [] : [
      filter.pidNamespace === undefined ? access.tgid(r1) : [
        pidInside(filter.pidNamespace),
        jne(r0, 0, reject),
        load(r1, 'u32', r10, inside + 4),
      ],
      isWanted(filter, reject, name),
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
    filter.mntnsIds ? inMountNamespaces({ field, access }, reject) : [],
  ]
}

function inMountNamespaces({ field, access: { read } }: Pick<Context, 'field' | 'access'>, reject: string): Code {
  return [
    note('--mntnsmap: its inode is a key', read(r1, field.nsproxy, task)),
    jeq(r1, 0, reject),
    read(r1, field.mntNs, r1),
    read(r1, field.mntInum, r1),
    store('u64', r10, stack.filterKey, r1),
    lookup(mapName.mntnsIds, stack.filterKey),
    jeq(r0, 0, reject),
  ]
}

/** Levels of cgroups that are gone up at most. */
const levels = 32

/** Whether `admitTask` has what it needs: of some filters it copies the kernel's memory. Otherwise a process is known to be wanted when it moves bytes. */
export function canAdmitTask({ filter, mayCopy }: Context): boolean {
  return mayCopy || !(filter.cgroup || filter.cgroupIds || (filter.pids.length > 0 && filter.pidNamespace !== undefined))
}

/**
 * Goes to `reject` unless `task` passes, which is not the current one, and for which helpers have no answer; it asks the kernel's structures in
 * their place. Clobbers r0 to r5, `amount` and `flow`.
 */
export function admitTask({ field, filter, access }: Context, reject: string): Code {
  const { read } = access
  const cgroup = [note('its cgroup', read(r1, present(field, 'cgroups'), task)), read(r1, present(field, 'defaultCgroup'), r1)]
  const idOf = [
    readKernel(stack.passing, 8, flow, present(field, 'cgroupNode').offset),
    load(r3, 'u64', r10, stack.passing),
    readKernel(stack.passing, 8, r3, present(field, 'cgroupId').offset),
  ]
  return [
    filter.pids.length === 0 ? [] : [
      filter.pidNamespace === undefined ? read(r1, field.tgid, task) : pidOf(field, filter.pidNamespace, access, reject),
      isWanted(filter, reject, 'task_admit'),
    ],
    !filter.cgroup ? [] : [
      cgroup,
      mov(flow, r1),
      note('--cgroup: it or one above it', mov(amount, levels)),
      label('task_cgroup'),
      idOf,
      load(r1, 'u64', r10, stack.passing),
      loadMapValue(r2, mapName.known, 0),
      load(r2, 'u64', r2, Known.cgroup),
      jeq(r1, r2, 'task_inside'),
      // `struct cgroup` begins with its `self`.
      readKernel(stack.passing, 8, flow, present(field, 'cgroupParent').offset),
      load(flow, 'u64', r10, stack.passing),
      jeq(flow, 0, reject),
      sub(amount, 1),
      jne(amount, 0, 'task_cgroup'),
      ja(reject),
      label('task_inside'),
    ],
    !filter.cgroupIds ? [] : [
      cgroup,
      mov(flow, r1),
      idOf,
      lookup(mapName.cgroupIds, stack.passing),
      jeq(r0, 0, reject),
    ],
    filter.mntnsIds ? inMountNamespaces({ field, access }, reject) : [],
  ]
}

/** `r1 =` what the process of `task` is called in the namespace that it is right in; goes to `reject` when that is another one. */
function pidOf(field: Field, { ino }: PidNamespace, { read }: Access, reject: string): Code {
  // `struct upid` of include/linux/pid.h: the number, then a pointer to the namespace.
  const upid = { number: 0, namespace: 8, size: 16 }
  return [
    read(r1, field.leader, task),
    read(flow, present(field, 'threadPid'), r1),
    jeq(flow, 0, reject),
    read(r1, present(field, 'pidLevel'), flow),
    note('the last of its numbers', lsh(r1, Math.log2(upid.size))),
    mov(r3, flow),
    add(r3, r1),
    mov(flow, r3),
    readKernel(stack.passing, 8, flow, present(field, 'pidNumbers').offset + upid.namespace),
    load(r3, 'u64', r10, stack.passing),
    readKernel(stack.passing, 4, r3, present(field, 'pidNamespaceInum').offset),
    load(r1, 'u32', r10, stack.passing),
    mov32(r2, Number(BigInt.asIntN(32, ino))),
    jne32(r1, r2, reject),
    readKernel(stack.passing, 4, flow, present(field, 'pidNumbers').offset + upid.number),
    load(r1, 'u32', r10, stack.passing),
  ]
}

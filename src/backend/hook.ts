import { audited, destroyed, emptied, mapName, renamed, seedFile, seedSocket, settled, stateSet } from '../program/index.js'
import type { Point } from '../trace/index.js'
import type { Hook } from './variant.js'

/**
 * From the beginning of a connection to its end, with the hooks that see its bytes in between: they are attached in the order in which a connection
 * passes them backwards, so that one whose beginning is seen has its bytes and its end seen too.
 */
export const lifeAt = (at: (tracepoint: string) => Point, bytes: readonly Hook[]): readonly Hook[] => [
  { program: 'tcptop_destroy', on: at('tcp_destroy_sock'), code: destroyed },
  { program: 'tcptop_destroy2', on: at('tcp_destroy_sock'), code: destroyed },
  ...bytes,
  { program: 'tcptop_state', on: at('inet_sock_set_state'), code: stateSet },
]

/** Catches up on what programs missed. */
export const audits: readonly Hook[] = [
  { program: 'tcptop_audit', on: { sweep: 'bpf_map_elem', map: mapName.flows }, part: 'audit', code: audited },
  { program: 'tcptop_settle', on: { sweep: 'bpf_map_elem', map: mapName.unsettled }, part: 'audit', code: settled },
]

/** What processes are called. Stands before hooks at which pockets are made. */
export const renames: Hook = { program: 'tcptop_rename', on: { tracepoint: 'task_rename' }, helper: 'snprintf', part: 'names', code: renamed }

/** The same by copying. */
export const rawRenames: Hook = { program: 'tcptop_rename', on: { rawTracepoint: 'task_rename' }, part: 'names', code: renamed }

/** Empties all pockets. */
export const emptying: Hook =
  { program: 'tcptop_pockets', on: { sweep: 'bpf_map_elem', map: mapName.pages }, part: 'pockets', code: emptied }

/** Connections that are older than the tool. In this order, for the first knows the owners. */
export const seeds: readonly Hook[] = [
  { program: 'tcptop_files', on: { iterator: 'task_file' }, code: seedFile },
  { program: 'tcptop_sockets', on: { iterator: 'tcp' }, code: seedSocket },
]

/** The same where a kernel without BTF has none. */
export const seedsIfAny: readonly Hook[] = seeds.map(hook => ({ ...hook, optional: true }))

export const typedPoint = (tracepoint: string): Point => ({ tracepoint })
export const rawPoint = (rawTracepoint: string): Point => ({ rawTracepoint })

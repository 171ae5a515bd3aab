import { destroyed, emptied, mapName, renamed, seedFile, seedSocket, stateSet } from '../program/index.js'
import type { Point } from '../trace/index.js'
import type { Hook } from './backend.js'

/** A connection from its beginning to its end: what every variant needs of tracepoints, typed or raw. */
export const lifeAt = (at: (tracepoint: string) => Point): readonly Hook[] => [
  { program: 'tcptop_state', on: at('inet_sock_set_state'), code: stateSet },
  { program: 'tcptop_destroy', on: at('tcp_destroy_sock'), code: destroyed },
  { program: 'tcptop_destroy2', on: at('tcp_destroy_sock'), code: destroyed },
]

/** Which process has another name. Stands before hooks at which pockets are made. */
export const renames = (at: (tracepoint: string) => Point): Hook =>
  ({ program: 'tcptop_rename', on: at('task_rename'), forPockets: true, code: renamed })

/** Empties all pockets. */
export const emptying: Hook =
  { program: 'tcptop_pockets', on: { sweep: 'bpf_map_elem', map: mapName.pages }, forPockets: true, code: emptied }

/** Connections that are older than the tool. In this order, for the first knows the owners. */
export const seeds: readonly Hook[] = [
  { program: 'tcptop_files', on: { iterator: 'task_file' }, code: seedFile },
  { program: 'tcptop_sockets', on: { iterator: 'tcp' }, code: seedSocket },
]

/** The same where a kernel without BTF has none. */
export const seedsIfAny: readonly Hook[] = seeds.map(hook => ({ ...hook, optional: true }))

export const typedPoint = (tracepoint: string): Point => ({ tracepoint })
export const rawPoint = (rawTracepoint: string): Point => ({ rawTracepoint })

import { destroyed, probed, released, seedFile, seedSocket, stateSet } from '../program/index.js'
import type { Point, Variant } from './backend.js'
import { limit } from './limit.js'

/** Readings at the entry of `release_sock`, the one point that every call on a socket passes, on every kernel. */
export function atRelease(on: Point, needs: string): Variant {
  return {
    needs,
    access: probed,
    locked: true,
    calls: false,
    hooks: [
      { program: 'tcptop_state', on: { rawTracepoint: 'inet_sock_set_state' }, code: stateSet },
      { program: 'tcptop_destroy', on: { rawTracepoint: 'tcp_destroy_sock' }, code: destroyed },
      { program: 'tcptop_destroy2', on: { rawTracepoint: 'tcp_destroy_sock' }, code: destroyed },
      { program: 'tcptop_release', on, code: released },
      { program: 'tcptop_files', on: { iterator: 'task_file' }, optional: true, code: seedFile },
      { program: 'tcptop_sockets', on: { iterator: 'tcp' }, optional: true, code: seedSocket },
    ],
    limits: [limit.ktls, limit.mptcpSubflow, limit.sockmapQueue, limit.urgent, limit.unaccepted],
  }
}

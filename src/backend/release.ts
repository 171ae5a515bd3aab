import { probed, released } from '../program/index.js'
import type { Point } from '../trace/index.js'
import type { Variant } from './backend.js'
import { lifeAt, pocketsIn, rawPoint, renames, seedsIfAny } from './life.js'
import { limit } from './limit.js'

/** Readings at the entry of `release_sock`, the one point that every call on a socket passes, on every kernel. */
export function atRelease(on: Point, needs: string, rank: number): Variant {
  return {
    rank,
    needs,
    access: probed,
    locked: true,
    calls: false,
    hooks: [
      ...lifeAt(rawPoint),
      renames(rawPoint),
      { program: 'tcptop_release', on, code: released },
      pocketsIn('bpf_map_elem'),
      ...seedsIfAny,
    ],
    limits: [limit.ktls, limit.mptcpSubflow, limit.sockmapQueue, limit.urgent, limit.unaccepted],
  }
}

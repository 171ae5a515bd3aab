import { cast, probed, released } from '../program/index.js'
import type { Point } from '../trace/index.js'
import type { Variant } from './backend.js'
import { audits, emptying, lifeAt, rawPoint, renames, seedsIfAny, typedPoint } from './life.js'
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
      renames(typedPoint),
      ...lifeAt(rawPoint, [{ program: 'tcptop_release', on, code: released }]),
      emptying,
      ...audits,
      ...seedsIfAny,
    ],
    limits: [limit.ktls, limit.mptcpSubflow, limit.sockmapQueue, limit.urgent, limit.unaccepted],
  }
}

/** The same without copying what is read. */
export function castAtRelease(on: Point, needs: string, rank: number): Variant {
  return { ...atRelease(on, needs, rank), access: cast, casts: true }
}

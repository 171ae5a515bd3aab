import { cast, probed, released, releasedMptcp } from '../program/index.js'
import type { Point } from '../trace/index.js'
import type { Variant } from './backend.js'
import { audits, emptying, lifeAt, rawPoint, rawRenames, renames, seedsIfAny } from './life.js'
import { limit } from './limit.js'

/**
 * Readings at the entry of `release_sock`, the one point that every call on a socket passes, on every kernel; of an MPTCP socket, at what that
 * calls for it, so that plain TCP does not pay for it.
 */
export function atRelease(at: (func: string) => Point, needs: string, rank: number, names = rawRenames): Variant {
  return {
    rank,
    needs,
    access: probed,
    locked: true,
    calls: false,
    hooks: [
      names,
      ...lifeAt(rawPoint, [
        { program: 'tcptop_mptcp', on: at('mptcp_release_cb'), part: 'mptcp', code: releasedMptcp },
        { program: 'tcptop_release', on: at('release_sock'), code: released },
      ]),
      emptying,
      ...audits,
      ...seedsIfAny,
    ],
    limits: [limit.ktls, limit.mptcpSocket, limit.mptcpUnknown, limit.sockmapQueue, limit.urgent, limit.unaccepted, limit.skipped],
  }
}

/** The same without copying what is read. */
export function castAtRelease(at: (func: string) => Point, needs: string, rank: number): Variant {
  return { ...atRelease(at, needs, rank, renames), access: cast, casts: true }
}

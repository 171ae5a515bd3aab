import { cast, probed, released, releasedMptcp } from '../program/index.js'
import type { Point } from '../trace/index.js'
import { audits, flush, lifeAt, rawPoint, rawRenames, renames, seedsIfAny } from './hook.js'
import { limit } from './limit.js'
import type { Variant } from './variant.js'

/**
 * Readings at the entry of `release_sock`, the one point that every call on a socket passes, on every kernel; of an MPTCP socket, at what that
 * calls for it, so that plain TCP does not pay for it.
 */
function atRelease(backend: string, at: (func: string) => Point, needs: string, names = rawRenames): Variant {
  return {
    backend,
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
      flush,
      ...audits,
      ...seedsIfAny,
    ],
    limits: [limit.ktls, limit.mptcpSocket, limit.mptcpUnknown, limit.sockmapQueue, limit.urgent, limit.unaccepted, limit.skipped],
  }
}

export const fentryAtRelease = atRelease('fentry', entry => ({ entry }), 'Linux 5.8 with BTF and ftrace')

// A kprobe at an entry: where ftrace has no fentry, as on arm64 before Linux 6.4. There are no return probes, for those miss returns.

const kprobe = (func: string): Point => ({ kprobe: func })

export const kprobeAtRelease = atRelease('kprobe', kprobe, 'Linux 5.5 with CONFIG_KPROBE_EVENTS')

/** The same without copying what is read. */
export const kprobeCastAtRelease: Variant =
  { ...atRelease('kprobe', kprobe, 'Linux 6.2 with BTF and CONFIG_KPROBE_EVENTS', renames), access: cast, casts: true }

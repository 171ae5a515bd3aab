import type { BpfMap, Kernel, Program } from '../syscall/index.js'
import { Stat } from './layout.js'
import type { Plan } from './plan.js'
import { mapName } from './program/index.js'
import { startTracer } from './trace/index.js'

/** A plan at work in the kernel. */
export interface Session {
  readonly flows: BpfMap
  readonly programs: readonly Program[]
  /** What the programs say about themselves, cumulative. */
  stats(): Stats
  /** Detaches and unloads everything; nothing stays in the kernel. */
  close(): void
}

export interface Stats {
  readonly lost: { readonly events: number; readonly tx: number; readonly rx: number }
  /** Entries ever made in the flow map. */
  readonly entered: number
  /** Entries whose socket is gone. */
  readonly gone: number
}

/** What a session needs beside the plan. */
export interface Surroundings {
  /** Maps by name that the programs use and that somebody else closes. */
  readonly maps?: Readonly<Record<string, BpfMap>>
  /** A descriptor of the cgroup v2 directory to stay in. */
  readonly cgroup?: number | undefined
  /** Keeps the verifier's logs: see `ProgramSpec`. */
  readonly logLevel?: 1 | 2 | undefined
}

/** Starts the plan's programs, and tells them when all that was there before them is known. Throws SyscallError and VerifierError, with everything undone. */
export function startSession(plan: Plan, kernel: Kernel, { maps, cgroup, logLevel }: Surroundings = {}): Session {
  const { map, programs, close } = startTracer(kernel, plan, {
    ...(maps === undefined ? {} : { maps }),
    prepare: map => {
      if (cgroup !== undefined) map(mapName.cgroup).update(new Uint8Array(4), new Uint8Array(Uint32Array.of(cgroup).buffer))
    },
    detail: () => logLevel === undefined ? {} : { logLevel },
  })
  try {
    // Without iterators what was there before us is never known.
    if (plan.programs.some(({ hook }) => 'iterator' in hook)) {
      map(mapName.found).update(new Uint8Array(4), Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0))
    }
    return { flows: map(mapName.flows), programs, stats: () => readStats(map(mapName.stats)), close }
  } catch (error) {
    close()
    throw error
  }
}

function readStats(map: BpfMap): Stats {
  const value = map.lookup(new Uint8Array(4))
  if (value === undefined) throw new Error('an array map lost its value')
  const view = new DataView(value.buffer, value.byteOffset)
  const at = (offset: number) => Number(view.getBigUint64(offset, true))
  return {
    lost: { events: at(Stat.lostEvents), tx: at(Stat.lostTx), rx: at(Stat.lostRx) },
    entered: at(Stat.entered),
    gone: at(Stat.gone),
  }
}

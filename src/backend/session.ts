import { debugInfo } from '../../bpf-asm/index.js'
import type { BpfMap, Kernel, Program } from '../../syscall/index.js'
import { Name, Stat } from '../layout.js'
import { mapName } from '../program/index.js'
import { cText, pointOf, startTracer, type Tracer } from '../trace/index.js'
import type { Plan } from './plan.js'
import type { SourceOf } from './source.js'

/** A plan at work in the kernel. */
export interface Session {
  readonly flows: BpfMap
  readonly programs: readonly Program[]
  /** What a process of the host is called in the plan's pid namespace; undefined when it is not known to be there. */
  pidInside(pid: number): number | undefined
  /** What a process of the host is called since it was renamed, if that was seen; `start` as in `Value`. */
  nameOf(pid: number, start: bigint): string | undefined
  /**
   * Charges what programs missed on sockets where a call was under way when they were attached, or of `all`, which costs half a
   * microsecond a flow. Does nothing where the kernel cannot. Throws SyscallError.
   */
  audit(all: boolean): void
  /** What the programs say about themselves, cumulative. */
  stats(): Stats
  /** What the kernel says about the programs' runs, cumulative: one call of the kernel for each program. */
  runs(): Runs
  /** Detaches and unloads everything; nothing stays in the kernel. */
  close(): void
}

export interface Stats {
  readonly lost: { readonly events: number; readonly tx: number; readonly rx: number }
  /** Entries ever made in the flow map. */
  readonly entered: number
  /** Entries whose socket is gone. */
  readonly gone: number
  /** Sockets that the next audit looks at in any case. */
  readonly unsettled: number
}

/** Runs of all programs that stay attached. */
export interface Runs {
  /** How often they ran and for how long; zero while the kernel keeps no statistics. */
  readonly count: number
  readonly seconds: number
  /** Runs that the kernel skipped: what they would have seen is counted later, perhaps for another process. Null where it does not count them. */
  readonly missed: number | null
}

/** What a session needs beside the plan. */
export interface SessionOptions {
  /** Maps by name that the programs use and that somebody else closes. */
  readonly maps?: Readonly<Record<string, BpfMap>>
  /** The cgroup v2 directory to stay in: a descriptor, and the number of its inode. */
  readonly cgroup?: { readonly fd: number; readonly id: bigint } | undefined
  /** Keeps the verifier's logs: see `ProgramSpec`. */
  readonly logLevel?: 1 | 2 | undefined
  /** Describes the programs by their lines of source wherever there is a log: what places of the plan's instructions were compiled from. */
  readonly sourceOf?: SourceOf | undefined
}

/** Starts the plan's programs, and tells them when all that was there before them is known. Throws SyscallError and VerifierError, with everything undone. */
export function startSession(plan: Plan, kernel: Kernel, { maps, cgroup, logLevel, sourceOf }: SessionOptions = {}): Session {
  const { map, programs, sweep, close } = startTracer(kernel, plan, {
    ...(maps === undefined ? {} : { maps }),
    prepare: map => {
      for (const pid of plan.wantedPids) map(mapName.wanted).update(new Uint8Array(Uint32Array.of(pid).buffer), new Uint8Array(1))
      if (cgroup === undefined) return
      map(mapName.cgroup).update(new Uint8Array(4), new Uint8Array(Uint32Array.of(cgroup.fd).buffer))
      tell(map, 0n, cgroup.id)
    },
    detail: ({ name, assembly }) => ({
      ...(logLevel === undefined ? {} : { logLevel }),
      ...(sourceOf === undefined ? {} : { debug: () => debugInfo(assembly, name, sourceOf) }),
    }),
  })
  try {
    // Without iterators what was there before us is never known.
    if (plan.programs.some(({ hook }) => pointOf(hook).runs === 'at start')) {
      tell(map, 1n, cgroup?.id ?? 0n)
    }
    const flows = map(mapName.flows)
    const batch = () => {
      sweep(mapName.pages)
      return flows.batch()
    }
    const pidInside = (pid: number) => {
      const found = map(mapName.pids).lookup(new Uint8Array(Uint32Array.of(pid).buffer))
      return found && new DataView(found.buffer, found.byteOffset).getUint32(0, true)
    }
    const names = plan.maps.some(({ name }) => name === mapName.names) ? map(mapName.names) : undefined
    const nameOf = (pid: number, start: bigint) => {
      const found = names?.lookup(new Uint8Array(Uint32Array.of(pid).buffer))
      const view = found && new DataView(found.buffer, found.byteOffset)
      return view?.getBigUint64(Name.start, true) === start ? cText(view, Name.comm, Name.size - Name.comm) : undefined
    }
    const attached = programs.filter((_, index) => pointOf(plan.programs[index]!.hook).runs !== 'at start')
    const runs = () => runsOf(attached, plan.countsMisses)
    const audit = (all: boolean) => {
      sweep(mapName.unsettled)
      if (all) sweep(mapName.flows)
    }
    return { flows: { ...flows, batch }, programs, pidInside, nameOf, audit, stats: () => readStats(map(mapName.stats)), runs, close }
  } catch (error) {
    close()
    throw error
  }
}

/** Tells the programs what `Known` has. */
function tell(map: Tracer['map'], found: bigint, cgroup: bigint): void {
  map(mapName.known).update(new Uint8Array(4), new Uint8Array(BigUint64Array.of(found, cgroup).buffer))
}

function runsOf(programs: readonly Program[], countsMisses: boolean): Runs {
  const infos = programs.map(program => program.info())
  const misses = infos.map(({ recursionMisses }) => recursionMisses)
  return {
    count: infos.reduce((sum, { runCount }) => sum + runCount, 0),
    seconds: infos.reduce((sum, { runTimeNs }) => sum + runTimeNs / 1e9, 0),
    missed: countsMisses && misses.every(count => count !== undefined) ? misses.reduce((sum, count) => sum + count, 0) : null,
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
    unsettled: at(Stat.unsettled),
  }
}

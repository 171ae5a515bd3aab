import { encode, storageBtf } from '../../bpf-asm/index.js'
import {
  type BpfMap, type Descriptor, type Iterator, type Kernel, type MapSpec, type Program, type ProgramSpec, SyscallError, UnsupportedError,
} from '../../syscall/index.js'
import { type Point, pointOf } from './point/index.js'
import type { ProgramPlan } from './program.js'
import { Scope } from './scope.js'

/** What a tracer gives to the kernel, as data: it can be printed, compared and tested without privileges. */
export interface TracerPlan {
  /** Maps to create. A socket storage's key and value types are described to the kernel when it is created. */
  readonly maps: readonly MapSpec[]
  /** In the order in which they are attached. */
  readonly programs: readonly ProgramPlan[]
}

/** A plan at work in the kernel. */
export interface Tracer {
  readonly programs: readonly Program[]
  /** A map by its name. Throws when there is none. */
  map(name: string): BpfMap
  /** Lets every program run that goes over a map, or over this one. Throws SyscallError. */
  sweep(map?: string): void
  /** Detaches and unloads everything; nothing stays in the kernel. */
  close(): void
}

/** What a tracer needs beside its plan. */
export interface Surroundings {
  /** Maps by name that the programs use and that somebody else closes. */
  readonly maps?: Readonly<Record<string, BpfMap>>
  /** Fills maps before a program is loaded. */
  readonly prepare?: (map: Tracer['map']) => void
  /** What else is to be said of a program when it is loaded, such as that its log is to be kept. */
  readonly detail?: (program: ProgramPlan) => Partial<ProgramSpec>
}

/**
 * Creates the maps, loads the programs, attaches them and lets the iterators run once. Throws SyscallError and VerifierError, with
 * everything undone.
 */
export function startTracer(kernel: Kernel, plan: TracerPlan, { maps: borrowed = {}, prepare, detail }: Surroundings = {}): Tracer {
  const scope = new Scope()
  try {
    const maps: Record<string, BpfMap> = { ...borrowed }
    for (const spec of plan.maps) {
      maps[spec.name] = scope.own(spec.type === 'sk_storage' ? createStorage(kernel, spec) : kernel.createMap(spec))
    }
    const map = (name: string) => {
      const found = maps[name]
      if (found === undefined) throw new Error(`the plan has no map ${name}`)
      return found
    }
    prepare?.(map)
    const fds = Object.fromEntries(Object.entries(maps).map(([name, { fd }]) => [name, fd]))
    const loaded = plan.programs.map(program =>
      ({ point: pointOf(program.hook), program: scope.own(kernel.loadProgram({ ...specOf(program, fds), ...detail?.(program) })) }))
    for (const { point, program } of loaded) if (point.runs === 'at events') scope.own(point.attach(kernel, program))
    const sweeps = loaded.flatMap(({ point, program }) =>
      point.runs === 'on request' ? [{ over: point.map, link: scope.own(point.attach(kernel, program, map(point.map))) }] : [])
    const sweep = (wanted?: string) => {
      for (const { over, link } of sweeps) if (wanted === undefined || wanted === over) link.read()
    }
    for (const { point, program } of loaded) if (point.runs === 'at start') run(point.attach(kernel, program))
    return { programs: loaded.map(({ program }) => program), map, sweep, close: () => scope.close() }
  } catch (error) {
    scope.close()
    throw error
  }
}

/** What the kernel is given of a program, with the descriptors of its maps. */
function specOf({ name, type, attachType, btfId, assembly }: ProgramPlan, fds: Readonly<Record<string, number>>): ProgramSpec {
  return {
    name,
    type,
    ...(attachType === undefined ? {} : { expectedAttachType: attachType }),
    ...(btfId === undefined ? {} : { attachBtfId: btfId }),
    insns: encode(assembly, fds),
    notes: assembly.notes,
    // Helpers that read the kernel's structures are for GPL programs alone; see README, Licence.
    license: 'GPL',
  }
}

/** Lets a program run at its point from now on; an iterator runs when what is returned is read. Throws SyscallError; UnsupportedError where the kernel has no kprobes. */
export function attach(kernel: Kernel, program: Program, on: Point): Descriptor {
  return pointOf(on).attach(kernel, program)
}

function run(iterator: Iterator): void {
  try {
    iterator.read()
  } finally {
    iterator.close()
  }
}

/** The kernel wants the types of a socket storage’s key and value described (sk_storage_map_check_btf). */
function createStorage(kernel: Kernel, spec: MapSpec): BpfMap {
  const { bytes, keyTypeId, valueTypeId } = storageBtf(spec.valueSize)
  const btf = kernel.loadBtf(bytes)
  try {
    return kernel.createMap({ ...spec, btf: { fd: btf.fd, keyTypeId, valueTypeId } })
  } finally {
    btf.close()
  }
}

/** A candidate that this kernel does not take. */
export interface Refusal<Candidate> {
  readonly candidate: Candidate
  readonly error: SyscallError | UnsupportedError
}

/** Starts the first candidate that this kernel accepts, and returns which were refused before it. Throws the last one's error when it accepts none. */
export function startFirst<Candidate, Started>(candidates: Iterable<Candidate>, start: (candidate: Candidate) => Started):
  { readonly candidate: Candidate; readonly started: Started; readonly refused: readonly Refusal<Candidate>[] } {
  const refused: Refusal<Candidate>[] = []
  for (const candidate of candidates) {
    try {
      return { candidate, started: start(candidate), refused }
    } catch (error) {
      if (!(error instanceof SyscallError || error instanceof UnsupportedError)) throw error
      refused.push({ candidate, error })
    }
  }
  throw refused.at(-1)?.error ?? new Error('nothing to start')
}

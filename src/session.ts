import { debugInfo, encode, storageBtf } from '../bpf-asm/index.js'
import type { BpfMap, Descriptor, Kernel, Program, ProgramSpec } from '../syscall/index.js'
import { Stat } from './layout.js'
import type { Plan, ProgramPlan } from './plan.js'
import { mapName } from './program/index.js'
import type { SourceOf } from './source.js'

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
  /** Describes the programs by their lines of source wherever there is a log: what places of the plan's instructions were compiled from. */
  readonly sourceOf?: SourceOf | undefined
}

/**
 * Creates the maps, loads the programs, attaches them and lets the iterators run once. Throws SyscallError and VerifierError, with
 * everything undone.
 */
export function startSession(plan: Plan, kernel: Kernel, { maps: borrowed = {}, cgroup, logLevel, sourceOf }: Surroundings = {}): Session {
  const opened: { close(): void }[] = []
  const own = <T extends { close(): void }>(resource: T) => {
    opened.push(resource)
    return resource
  }
  const close = () => {
    for (const resource of opened.splice(0).reverse()) resource.close()
  }
  try {
    const maps: Record<string, BpfMap> = { ...borrowed }
    for (const spec of plan.maps) {
      maps[spec.name] = own(spec.type === 'sk_storage' ? createStorage(kernel, spec) : kernel.createMap(spec))
    }
    const map = (name: string) => {
      const found = maps[name]
      if (found === undefined) throw new Error(`the plan has no map ${name}`)
      return found
    }
    if (cgroup !== undefined) map(mapName.cgroup).update(new Uint8Array(4), new Uint8Array(Uint32Array.of(cgroup).buffer))
    const fds = Object.fromEntries(Object.entries(maps).map(([name, { fd }]) => [name, fd]))
    const more = (program: ProgramPlan): Partial<ProgramSpec> => ({
      ...(logLevel === undefined ? {} : { logLevel }),
      ...(sourceOf === undefined ? {} : { debug: () => debugInfo(program.assembly, program.name, sourceOf) }),
    })
    const loaded = plan.programs.map(program => ({ plan: program, program: own(kernel.loadProgram({ ...specOf(program, fds), ...more(program) })) }))
    for (const { plan: { hook }, program } of loaded) if (!('iterator' in hook)) own(attach(kernel, program, hook))
    const iterators = loaded.filter(({ plan: { hook } }) => 'iterator' in hook)
    for (const { program } of iterators) run(kernel, program)
    // Without iterators what was there before us is never known.
    if (iterators.length > 0) map(mapName.found).update(new Uint8Array(4), Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0))
    return { flows: map(mapName.flows), programs: loaded.map(({ program }) => program), stats: () => readStats(map(mapName.stats)), close }
  } catch (error) {
    close()
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

function attach(kernel: Kernel, program: Program, on: ProgramPlan['hook']): Descriptor {
  if ('rawTracepoint' in on) return kernel.attachRawTracepoint(program, on.rawTracepoint)
  return 'kprobe' in on ? kernel.attachKprobe(program, on.kprobe) : kernel.attachTracing(program)
}

function run(kernel: Kernel, program: Program): void {
  const iterator = kernel.attachIterator(program)
  try {
    iterator.read()
  } finally {
    iterator.close()
  }
}

/** The kernel wants the types of a socket storage’s key and value described (sk_storage_map_check_btf). */
function createStorage(kernel: Kernel, spec: Parameters<Kernel['createMap']>[0]): BpfMap {
  const { bytes, keyTypeId, valueTypeId } = storageBtf(spec.valueSize)
  const btf = kernel.loadBtf(bytes)
  try {
    return kernel.createMap({ ...spec, btf: { fd: btf.fd, keyTypeId, valueTypeId } })
  } finally {
    btf.close()
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

import { release as kernelRelease } from 'node:os'
import { attrOf } from './attr.js'
import { bpf, tryBpf } from './call.js'
import { SyscallError } from './error.js'
import { type Descriptor, Descriptors } from './fd.js'
import { attachKprobe, type KprobePlaces } from './kprobe.js'
import { attachIterator, attachRawTracepoint, attachTracing, type Iterator } from './link.js'
import { type BpfMap, createMap, type MapSpec, openMap } from './map.js'
import { loadNative, type Native } from './native.js'
import { loadProgram, type Program, type ProgramSpec } from './prog.js'
import { isBefore } from './version.js'
import { openSocket, type Socket, type SocketSpec } from './socket.js'
import { btfLoad, enableStats } from './uapi.js'

/** The running kernel. The caller closes what it hands out. */
export interface Kernel {
  /** Creates a map. Throws SyscallError. */
  createMap(spec: MapSpec): BpfMap
  /** Opens a pinned map. Throws SyscallError; EINVAL when something else is pinned there. */
  openMap(path: string): BpfMap
  /** Gives BTF to the kernel, to describe maps with. Throws SyscallError. */
  loadBtf(bytes: Uint8Array): Descriptor
  /** Loads a program. Throws VerifierError or SyscallError. */
  loadProgram(spec: ProgramSpec): Program
  /** Attaches tp_btf, fentry and fexit programs. Throws SyscallError. */
  attachTracing(program: Program): Descriptor
  /** Attaches a raw tracepoint program. Throws SyscallError. */
  attachRawTracepoint(program: Program, name: string): Descriptor
  /** Attaches a kprobe program to the entry of a function. Throws SyscallError, UnsupportedError. */
  attachKprobe(program: Program, symbol: string): Descriptor
  /** Attaches an iterator, over this map if it is one over the elements of a map. Throws SyscallError. */
  attachIterator(program: Program, map?: BpfMap): Iterator
  /** The kernel counts the runs of all programs and their time until this is closed (since Linux 5.8); undefined where it refuses. */
  enableStats(): Descriptor | undefined
  /** Opens a socket whose calls block, as Node's do not. Throws SyscallError. */
  openSocket(spec: SocketSpec): Socket
  /**
   * Gives this thread these capabilities, a bit each, of those that are permitted to it, and no inheritable ones. With `threads`, of this
   * process, they are asked to do so instead; returns how many have. Throws SyscallError.
   */
  setCapabilities(effective: bigint, permitted: bigint, threads?: readonly number[]): number
  /** Descriptors that are open now. */
  readonly open: number
}

/** The running kernel. Throws UnsupportedError when the native shim is not there. */
export function openKernel(): Kernel {
  return kernelThrough(loadNative())
}

/**
 * The kernel, through the shim or what a test has in its place. Before Linux 5.11, which its `release` shows, maps and programs are
 * locked memory: as much is allowed as possible, and what is not enough is refused later.
 */
export function kernelThrough(native: Native, release = kernelRelease(), kprobes?: KprobePlaces): Kernel {
  if (isBefore(release, '5.11')) native.raiseMemlock()
  const descriptors = new Descriptors(native)
  return {
    createMap: spec => createMap(descriptors, spec),
    openMap: path => openMap(descriptors, path),
    loadBtf: bytes => descriptors.own(bpf(native, 'BTF_LOAD', btfLoad, { btf: bytes, btf_size: bytes.length })),
    loadProgram: spec => loadProgram(descriptors, spec),
    attachTracing: program => attachTracing(descriptors, program),
    attachRawTracepoint: (program, name) => attachRawTracepoint(descriptors, program, name),
    attachKprobe: (program, symbol) => attachKprobe(descriptors, program, symbol, kprobes),
    attachIterator: (program, map) => attachIterator(descriptors, program, map),
    enableStats: () => {
      const fd = tryBpf(native, 'ENABLE_STATS', attrOf(enableStats, { type: 0 }))
      return fd < 0 ? undefined : descriptors.own(fd)
    },
    openSocket: spec => openSocket(descriptors, spec),
    setCapabilities: (effective, permitted, threads = []) => {
      // Two struct __user_cap_data_struct, of the lower and the upper 32 bits: effective, permitted, inheritable.
      const data = Uint32Array.from([0n, 32n].flatMap(shift => [effective, permitted, 0n].map(set => Number(set >> shift & 0xffff_ffffn))))
      const result = native.setCapabilities(new Uint8Array(data.buffer), threads)
      if (result < 0) throw new SyscallError('capset', -result)
      return result
    },
    get open() {
      return descriptors.open
    },
  }
}

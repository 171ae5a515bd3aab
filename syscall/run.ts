import { attrOf, readField } from './attr.js'
import { tryBpf } from './call.js'
import { SyscallError } from './error.js'
import type { Native } from './native.js'
import { progTest } from './uapi.js'

/** What a program is run on. */
export interface RunInput {
  /** Of a raw tracepoint its arguments, 8 bytes each: at least those that the program reads. */
  readonly context?: Uint8Array
  /** For programs that see packets, such as socket_filter, sched_cls and xdp: at least the 14 bytes of an Ethernet header. */
  readonly packet?: Uint8Array
  /** Runs it so often and takes the mean of the times; not for raw tracepoints. */
  readonly repeat?: number
}

/** What came of a run. */
export interface RunResult {
  /** What it returned, without a sign. */
  readonly result: number
  /** The packet as it has become. */
  readonly packet: Uint8Array
  /** Time of a run; 0 of a raw tracepoint. */
  readonly nanoseconds: number
}

/** By how much a program may make a packet longer. */
const growth = 256

/**
 * Runs a loaded program once, attached to nothing (BPF_PROG_TEST_RUN; a raw tracepoint since Linux 5.10). Throws SyscallError, ENOTSUPP for
 * a type of program that the kernel does not run so.
 */
export function runProgram(native: Native, fd: number, { context, packet, repeat }: RunInput): RunResult {
  const out = packet === undefined ? undefined : new Uint8Array(packet.length + growth)
  const attr = attrOf(progTest, {
    prog_fd: fd,
    ctx_in: context,
    ctx_size_in: context?.length,
    data_in: packet,
    data_size_in: packet?.length,
    data_out: out,
    data_size_out: out?.length,
    repeat,
  })
  const result = tryBpf(native, 'PROG_TEST_RUN', attr)
  if (result < 0) throw new SyscallError('bpf(BPF_PROG_TEST_RUN)', -result)
  return {
    result: readField(progTest, attr.bytes, 'retval'),
    packet: out?.subarray(0, readField(progTest, attr.bytes, 'data_size_out')) ?? new Uint8Array(),
    nanoseconds: readField(progTest, attr.bytes, 'duration'),
  }
}

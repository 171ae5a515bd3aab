import { constants } from 'node:os'
import { attrOf, cString, readField } from './attr.js'
import { tryBpf } from './call.js'
import { errorName, SyscallError, VerifierError } from './error.js'
import type { Descriptor, Descriptors } from './fd.js'
import type { Native } from './native.js'
import { runProgram, type RunInput, type RunResult } from './run.js'
import { attachType, btfLoad, info as infoLayout, progInfo, progLoad, programType } from './uapi.js'
import { hasReason, tellsState } from './verdict.js'

/** A type of program by its name in `enum bpf_prog_type`, in lower case. */
export type ProgramType = keyof typeof programType
/** What a program of some types will be attached to, by its name in `enum bpf_attach_type`, in lower case. */
export type AttachType = keyof typeof attachType

/** A program to load. */
export interface ProgramSpec {
  /** At most 15 characters; the kernel's lists and our errors show it. */
  readonly name: string
  readonly type: ProgramType
  /** Instructions, 8 bytes a slot. */
  readonly insns: Uint8Array
  /** Decides which helpers may be called: "GPL" all of them. */
  readonly license: string
  readonly expectedAttachType?: AttachType
  /** The BTF id of what it will be attached to. */
  readonly attachBtfId?: number
  /** What an instruction is for, by slot: shown when the verifier rejects it. */
  readonly notes?: readonly (string | undefined)[]
  /** Describes it, so that the log has its lines of source: asked for when there is a log, for it takes time. */
  readonly debug?: () => DebugInfo
  /** Asks for the verifier's log also when it accepts: 1 what it did, 2 every instruction. */
  readonly logLevel?: 1 | 2
}

/** A program's own BTF, and what refers to it: `struct bpf_func_info` and `struct bpf_line_info` in rows. */
export interface DebugInfo {
  readonly btf: Uint8Array
  readonly funcInfo: Uint8Array
  readonly lineInfo: Uint8Array
  /** What the instructions are, by slot. */
  readonly texts?: readonly (string | undefined)[]
}

/** What the kernel reports about a loaded program. */
export interface ProgramInfo {
  readonly id: number
  /** Bytes of machine code; 0 without a JIT. */
  readonly jitedSize: number
  /** Bytes of instructions after the verifier's rewriting. */
  readonly xlatedSize: number
  /** Instructions that the verifier went through (since Linux 5.16, else 0). */
  readonly verifiedInsns: number
  /** Runs and their time, while kernel.bpf_stats_enabled is 1. */
  readonly runCount: number
  readonly runTimeNs: number
  /**
   * Runs that the kernel skipped because the program, or for a kprobe any program, was running already on that CPU; undefined where the
   * kernel does not have the field (before Linux 5.12). Programs at the entry or return of functions are counted since then, those at
   * tracepoints since 6.1, which is when the kernel began to skip them, and kprobes since 6.7 (`bpf_prog_inc_misses_counter`, kernel/bpf/syscall.c).
   */
  readonly recursionMisses: number | undefined
}

/** A loaded program. */
export interface Program extends Descriptor {
  readonly name: string
  readonly expectedAttachType: AttachType | undefined
  /** The verifier's log, if it was asked for. */
  readonly log: string | undefined
  info(): ProgramInfo
  /** Runs it on what it is given, attached or not. Throws SyscallError. */
  run(input: RunInput): RunResult
}

/** Sizes of the log: a first try, and the largest that every kernel takes (UINT_MAX >> 8, kernel/bpf/verifier.c before 5.18). */
const firstLog = 1 << 18
const largestLog = (1 << 24) - 1
/** The verifier gives up with EAGAIN when a signal is pending: a profiler's, say, which may well come again. */
const tries = 20

const { E2BIG, EAGAIN, EMFILE, ENFILE, ENOMEM, ENOSPC, EPERM } = constants.errno

/** What a load fails with when nothing is wrong with the program; E2BIG also comes from the verifier, which then gives a reason. */
const causes = new Map([
  [EMFILE, 'this process has too many open files (ulimit -n)'],
  [ENFILE, 'the system has too many open files (fs.file-max)'],
  [ENOMEM, 'the kernel has no memory for the program'],
  [E2BIG, 'it has more instructions than the kernel loads, 4096 without CAP_BPF and a million with it'],
])

/** Loads a program. Throws VerifierError when the verifier gives a reason to reject it, and SyscallError for any other cause. */
export function loadProgram(descriptors: Descriptors, spec: ProgramSpec): Program {
  const { native } = descriptors
  const done = (fd: number, log?: string): Program => {
    const descriptor = descriptors.own(fd)
    return {
      name: spec.name,
      expectedAttachType: spec.expectedAttachType,
      log,
      info: () => programInfo(native, fd),
      run: input => runProgram(native, fd, input),
      ...descriptor,
    }
  }
  if (spec.logLevel === undefined) {
    const fd = tryLoad(native, spec)
    if (fd >= 0) return done(fd)
    if (fd === -EPERM || fd === -EAGAIN) throw new SyscallError('bpf(BPF_PROG_LOAD)', -fd)
  }
  const debug = spec.debug?.()
  const btf = debug && tryLoadBtf(descriptors, debug.btf)
  try {
    const first = loadWithLog(native, spec, spec.logLevel ?? 1, btf && debugFields(btf, debug))
    if (first.fd >= 0) return done(first.fd, first.log)
    if (!isOfVerifier(-first.fd, first.log)) throw loadError(spec.name, -first.fd)
    const refused = ({ fd, log }: Logged) => new VerifierError(spec.name, -fd, log, { notes: spec.notes ?? [], texts: debug?.texts ?? [] })
    if (tellsState(first.log)) throw refused(first)
    // Before Linux 5.18 only the next level shows registers; a log that does not fit is taken without them.
    const second = loadWithLog(native, spec, 2, btf && debugFields(btf, debug))
    if (second.fd >= 0) return done(second.fd, second.log)
    throw refused(second.log === '' || second.fd === -ENOSPC ? first : second)
  } finally {
    btf?.close()
  }
}

/** Whether the verifier rejected a program. It may have accepted one that failed later: then its log has no reason, or the cause is none of its own. */
function isOfVerifier(errno: number, log: string): boolean {
  return hasReason(log) && (errno === E2BIG || !causes.has(errno))
}

function loadError(name: string, errno: number): SyscallError {
  const cause = causes.get(errno)
  return new SyscallError('bpf(BPF_PROG_LOAD)', errno, cause && `load ${name}: ${errorName(errno)}: ${cause}`)
}

/** What a load has returned, and the verifier's log. */
interface Logged {
  readonly fd: number
  readonly log: string
}

function loadWithLog(native: Native, spec: ProgramSpec, level: number, more: ProgLoad = {}): Logged {
  for (let size = firstLog; ; size = Math.min(4 * size, largestLog)) {
    const buffer = new Uint8Array(size)
    const fd = tryLoad(native, spec, { log_level: level, log_size: size, log_buf: buffer, ...more })
    if (fd === -ENOSPC && size < largestLog) continue
    return { fd, log: new TextDecoder().decode(buffer.subarray(0, Math.max(0, buffer.indexOf(0)))) }
  }
}

/** Undefined when the kernel does not take it: the program can do without. */
function tryLoadBtf(descriptors: Descriptors, btf: Uint8Array): Descriptor | undefined {
  const fd = tryBpf(descriptors.native, 'BTF_LOAD', attrOf(btfLoad, { btf, btf_size: btf.length }))
  return fd < 0 ? undefined : descriptors.own(fd)
}

/** Bytes of a row: `struct bpf_func_info` and `struct bpf_line_info`. */
const [funcRow, lineRow] = [8, 16]

function debugFields({ fd }: Descriptor, { funcInfo, lineInfo }: DebugInfo): ProgLoad {
  return {
    prog_btf_fd: fd,
    func_info: funcInfo,
    func_info_rec_size: funcRow,
    func_info_cnt: funcInfo.length / funcRow,
    line_info: lineInfo,
    line_info_rec_size: lineRow,
    line_info_cnt: lineInfo.length / lineRow,
  }
}

type ProgLoad = Parameters<typeof attrOf<keyof typeof progLoad.fields>>[1]

function tryLoad(native: Native, spec: ProgramSpec, more: ProgLoad = {}): number {
  const attr = attrOf(progLoad, {
    prog_type: programType[spec.type],
    insn_cnt: spec.insns.length / 8,
    insns: spec.insns,
    license: cString(spec.license),
    prog_name: spec.name,
    expected_attach_type: spec.expectedAttachType === undefined ? undefined : attachType[spec.expectedAttachType],
    attach_btf_id: spec.attachBtfId,
    ...more,
  })
  for (let left = tries; ; left--) {
    const result = tryBpf(native, 'PROG_LOAD', attr)
    if (result !== -EAGAIN || left === 1) return result
  }
}

function programInfo(native: Native, fd: number): ProgramInfo {
  const bytes = new Uint8Array(progInfo.size)
  const attr = attrOf(infoLayout, { bpf_fd: fd, info_len: bytes.length, info: bytes })
  const result = tryBpf(native, 'OBJ_GET_INFO_BY_FD', attr)
  if (result < 0) throw new SyscallError('bpf(BPF_OBJ_GET_INFO_BY_FD)', -result)
  // The kernel returns how many bytes it knows.
  const known = readField(infoLayout, attr.bytes, 'info_len')
  const field = (name: keyof typeof progInfo.fields) => readField(progInfo, bytes, name)
  return {
    id: field('id'),
    jitedSize: field('jited_prog_len'),
    xlatedSize: field('xlated_prog_len'),
    verifiedInsns: field('verified_insns'),
    runCount: field('run_cnt'),
    runTimeNs: field('run_time_ns'),
    recursionMisses: known < progInfo.fields.recursion_misses[0] + 8 ? undefined : field('recursion_misses'),
  }
}

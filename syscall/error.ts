import { constants } from 'node:os'
import { annotate, type Annotations, essence, explain } from './verdict.js'

/** `ENOTSUPP` (include/linux/errno.h), which the kernel should keep to itself and does not. */
const notSupported = 524

/** Where two names mean the same, such as EAGAIN and EWOULDBLOCK, the one that comes first: entries that are put in later win. */
const names = new Map<number, string>([
  ...Object.entries(constants.errno).reverse().map(([name, errno]) => [errno, name] as const),
  // The kernel's own name: ENOTSUP, the same number, is too much like the other.
  [constants.errno.EOPNOTSUPP, 'EOPNOTSUPP'],
  [notSupported, 'ENOTSUPP'],
])

/** An errno by its name. */
export function errorName(errno: number): string {
  return names.get(errno) ?? `errno ${errno}`
}

/** The kernel refused a call. */
export class SyscallError extends Error {
  override readonly name: string = 'SyscallError'
  /** The name of `errno`, as in Node's own errors. */
  readonly code: string

  constructor(readonly syscall: string, readonly errno: number, message?: string) {
    const code = errorName(errno)
    super(message ?? `${syscall}: ${code}`)
    this.code = code
  }
}

/** The verifier rejected a program. */
export class VerifierError extends SyscallError {
  override readonly name = 'VerifierError'
  /** The verifier's log, with the program's notes beside its instructions. */
  readonly log: string
  /** The way to the instruction at fault, the registers there, and what the reason means and how to fix it: several lines. */
  readonly explanation: string

  /** `log` as the kernel wrote it. */
  constructor(readonly program: string, errno: number, log: string, annotations: Annotations = {}) {
    super('bpf(BPF_PROG_LOAD)', errno, `load ${program}: ${errorName(errno)}: ${essence(log, annotations)}`)
    this.log = annotate(log, annotations)
    this.explanation = explain(log, annotations)
  }
}

/** This kernel or this machine cannot do what is asked. */
export class UnsupportedError extends Error {
  override readonly name = 'UnsupportedError'

  /** `since`: what would have it, as in "fentry needs Linux 5.5 with BTF". */
  constructor(readonly feature: string, readonly since?: string, options?: ErrorOptions) {
    super(since === undefined ? feature : `${feature} needs ${since}`, options)
  }
}

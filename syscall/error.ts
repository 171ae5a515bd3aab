import { constants } from 'node:os'

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

  /** `log` as the kernel wrote it, `notes` by slot. */
  constructor(readonly program: string, errno: number, log: string, notes: readonly (string | undefined)[] = []) {
    super('bpf(BPF_PROG_LOAD)', errno, `load ${program}: ${errorName(errno)}: ${essence(log, notes)}`)
    this.log = annotate(log, notes)
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

/** An instruction in the log: `17: (79) r1 = *(u64 *)(r1 +0)`, since 5.18 followed by `; R1_w=…`. */
const instruction = /^(\d+): \([0-9a-f]{2}\) [^;]*/

/** The log with our notes beside the instructions. */
function annotate(log: string, notes: readonly (string | undefined)[]): string {
  return log.split('\n').map(line => {
    const note = notes[Number(instruction.exec(line)?.[1])]
    return note === undefined ? line : `${line}   <- ${note}`
  }).join('\n')
}

/** What the verifier says beside its reason: how much it did, and of a loop the two states that are the same. */
const aside = /^(processed \d+ insns|verification time|stack depth|-- BEGIN|-- END|max_states|cur state:|old state:)/

/** Since Linux 7.3 or so it goes on to tell the same at length, in paragraphs. */
const atLength = /^Verification failed:/

/** The kernel's reason, and beside it the instruction with our note. */
function essence(log: string, notes: readonly (string | undefined)[]): string {
  const lines = log.split('\n').filter(line => line.trim() !== '')
  const end = lines.findIndex(line => atLength.test(line))
  const said = lines.slice(0, end < 0 ? undefined : end).filter(line => !aside.test(line))
  const reason = said.at(-1) ?? 'the verifier gave no reason'
  const rejected = said.map(line => instruction.exec(line)).filter(match => match !== null).at(-1)
  const note = notes[Number(rejected?.[1])]
  const where = rejected === undefined ? '' : ` at ${rejected[0].trimEnd()}${note === undefined ? '' : ` (${note})`}`
  const omitted = lines.length - (rejected === undefined ? 1 : 2)
  const rest = omitted > 0 ? ` (${omitted} ${omitted === 1 ? 'line' : 'lines'} omitted; -v shows all)` : ''
  return `${reason}${where}${rest}`
}

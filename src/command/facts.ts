import { BtfError, parseBtf } from '../../bpf-asm/index.js'
import { type Kernel, SyscallError, UnsupportedError } from '../../syscall/index.js'
import { type Facts, factsByName, factsOf, makePlans } from '../backend/index.js'
import { selfCheck } from '../doctor/index.js'
import { advice, powerOf } from '../host/index.js'
import { type KernelFields, fieldsOf } from '../program/index.js'
import { jsonText } from '../trace/index.js'
import { UsageError } from '../usage-error.js'
import type { World } from './world.js'

/** Where the kernel's types are to be found. */
export interface BtfChoice {
  /** Path of a BTF to take for the kernel's; false: none, what the programs read is found by measurement. */
  readonly btf?: string | false
  /** Whether programs are only printed: they may be those of any kernel. */
  readonly isPrinted?: boolean
}

export type PlanRequest = Parameters<typeof makePlans>[0]

/**
 * What is known of this kernel: from its own BTF, from one that the user has, or by measurement where there is none or it cannot be used. Throws
 * UsageError when the user's is no BTF, or not of this kernel.
 */
export async function factsFor({ btf, isPrinted = false }: BtfChoice, world: World, openKernel: () => Kernel): Promise<Facts> {
  if (typeof btf === 'string') {
    const given = fieldsGiven(btf, world)
    if (!isPrinted) checkGiven(btf, given, ownFacts(world))
    return factsByName(given, world.arch)
  }
  const own = btf === false ? undefined : ownFacts(world)
  if (own !== undefined && !(own instanceof Error)) return own
  try {
    const facts = factsByName(await world.measureFields(openKernel()), world.arch)
    return own === undefined ? facts : { ...facts, damage: `it cannot be used, and fields were found by measurement: ${own.message}` }
  } catch (cause) {
    if (own === undefined || !(cause instanceof SyscallError || cause instanceof UnsupportedError)) throw cause
    const reason = cause instanceof SyscallError ? `${cause.message}${advice(cause, powerOf(world.readText))}` : cause.message
    throw new UnsupportedError(`the kernel's BTF cannot be used: ${own.message}; and without it: ${reason}`, undefined, { cause })
  }
}

/** From the kernel's own BTF: undefined where it has none, why not where it cannot be used. */
function ownFacts(world: World): Facts | Error | undefined {
  try {
    const bytes = world.readBtf()
    if (bytes === undefined) return undefined
    const btf = parseBtf(bytes)
    const isLocked = /\[confidentiality\]/.test(world.readText('/sys/kernel/security/lockdown') ?? '')
    const facts: Facts = { ...factsOf(btf, world.arch), ...isLocked ? { mayCopy: false } : {} }
    const field = facts.field()
    return { ...facts, field: () => field, ...btf.incomplete === undefined ? {} : { damage: `only a part of it can be read: ${btf.incomplete}` } }
  } catch (error) {
    if (error instanceof BtfError || error instanceof SyscallError || (error instanceof Error && 'errno' in error)) return error
    throw error
  }
}

function fieldsGiven(path: string, world: World): KernelFields {
  try {
    return fieldsOf(parseBtf(world.readBtfFile(path)))
  } catch (cause) {
    throw new UsageError(`--btf must be the path of a BTF file, got ${jsonText(path)}: ${(cause as Error).message}`, { cause })
  }
}

/** Where the kernel has BTF of its own, the user's must agree in what is read. */
function checkGiven(path: string, given: KernelFields, own: Facts | Error | undefined): void {
  if (own === undefined || own instanceof Error) return
  const is = own.field()
  const text = (member: KernelFields[keyof KernelFields]) => member === undefined ? 'absent' : 'offset' in member ? `at byte ${member.offset}, of ${member.size}` : 'different'
  for (const name of new Set([...Object.keys(is), ...Object.keys(given)]) as Set<keyof KernelFields>) {
    if (JSON.stringify(given[name]) === JSON.stringify(is[name])) continue
    throw notThisKernels(path, `${name} is ${text(given[name])} there, and ${text(is[name])} here`)
  }
}

function notThisKernels(path: string, why: string): UsageError {
  return new UsageError(`--btf must be the BTF of this kernel, got ${jsonText(path)}: ${why}`)
}

/** Where nothing else shows whether the user's BTF is this kernel's, a connection with known bytes does. Its sockets are closed when the tool attaches. */
export async function tryGiven({ btf }: BtfChoice, request: PlanRequest, facts: Facts, world: World, kernel: Kernel): Promise<void> {
  if (typeof btf !== 'string') return
  const own = ownFacts(world)
  if (own !== undefined && !(own instanceof Error)) return
  const everything = { pids: [], cgroup: false, cgroupIds: false, mntnsIds: false }
  const wrong = await selfCheck(makePlans({ ...request, maxFlows: 1024, filter: everything }, facts), kernel)
  if (wrong !== undefined) throw notThisKernels(btf, wrong)
}

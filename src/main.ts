import { type Btf, parseBtf } from '../bpf-asm/index.js'
import { type Kernel, type Program, SyscallError, UnsupportedError, VerifierError } from '../syscall/index.js'
import { advice, powerOf } from './advice.js'
import { loadAggregate } from './aggregate.js'
import { backends } from './backend/index.js'
import { dump } from './dump.js'
import { type Facts, factsByName, factsOf } from './facts.js'
import { Row } from './layout.js'
import { type Options, parseOptions } from './options.js'
import { makePlan, makePlans, type PassedOver, type Plan, PlanError } from './plan.js'
import { giveUp, type Threads } from './privilege.js'
import { type Field, fieldsOf, mapName } from './program/index.js'
import { startSession, type Surroundings } from './session.js'
import { cgroupSet, mistaken, mntnsSet, type NamedSet, openSet, pinSets } from './set.js'
import { type Clock, trace } from './tracer.js'
import { UsageError } from './usage-error.js'

export type { Threads }

/** Everything that the program needs from outside. */
export interface World {
  openKernel(): Kernel
  /** The running kernel's BTF; undefined where there is none. */
  readBtf(): Uint8Array | undefined
  /** Throws Node's error. */
  readFile(path: string): Uint8Array
  /** Finds by measurement where the kernel keeps what programs read. Throws UnsupportedError where it cannot be told. */
  measureFields(kernel: Kernel): Promise<Field>
  /** A file of the kernel, such as one of /proc; undefined when it cannot be read. */
  readText(path: string): string | undefined
  /** The machine, by Node's name. */
  readonly arch: string
  readonly clock: Clock
  readonly out: Output
  /** One line for the user, on stderr. */
  tell(line: string): void
  /** Opens a cgroup v2 directory; undefined when it is none. */
  openCgroup(path: string): { readonly fd: number; close(): void } | undefined
  /** False when something is at `path` that is no object of BPF; true also where we may not look. */
  mayBePin(path: string): boolean
  /** Removes a file. */
  remove(path: string): void
  /** CPU seconds used so far, and bytes of memory now, which only /proc tells. */
  usage(): { readonly cpu: number; readonly rss: number | undefined }
  /** Undefined when they are not known. */
  otherThreads(): Threads | undefined
  /** Aborted when the user has seen enough. */
  readonly stop: AbortSignal
}

export interface Output {
  readonly isTerminal: boolean
  /** Lines and columns of the terminal now; undefined when it does not tell. */
  size(): { readonly rows: number; readonly columns: number } | undefined
  /** Resolves when all is written; rejects with EPIPE when nobody reads any more. */
  write(text: string): Promise<void>
}

/** Runs the program and returns its exit status: 0, 1 when the kernel refuses, 2 for wrong usage. */
export async function main(argv: readonly string[], world: World): Promise<number> {
  let verbose = false
  try {
    const request = parseOptions(argv)
    if ('text' in request) {
      await world.out.write(request.text)
      return 0
    }
    verbose = request.verbose
    await run(request, world)
    return 0
  } catch (error) {
    if (isClosedPipe(error)) return 0
    world.tell(`tcptop: ${explain(error, verbose, world)}`)
    return error instanceof UsageError ? 2 : 1
  }
}

async function run(options: Options, world: World): Promise<void> {
  const request = requestOf(options)
  if (options.dumpBpf) return world.out.write(dump(makePlan(request, await factsFor(options, world, world.openKernel))))

  const opened: { close(): void }[] = []
  const own = <T extends { close(): void }>(resource: T) => {
    opened.push(resource)
    return resource
  }
  try {
    const cgroup = options.cgroup === undefined ? undefined : own(openCgroup(world, options.cgroup))
    const kernel = world.openKernel()
    const sets: Record<string, NamedSet> = {}
    for (const [kind, path, name] of [
      [cgroupSet, options.cgroupMap, mapName.cgroupIds],
      [mntnsSet, options.mntnsMap, mapName.mntnsIds],
    ] as const) {
      if (path === undefined) continue
      const set = openSet(kernel, kind, path, world.mayBePin)
      own(set.map)
      sets[name] = set
    }
    // What the user wrote is checked: from here on it is the kernel that refuses.
    const plans = makePlans(request, await factsFor(options, world, () => kernel))
    const aggregate = await loadAggregate(options.grouping.mask())
    const maps = Object.fromEntries(Object.entries(sets).map(([name, { map }]) => [name, map]))
    const { plan, session, passedOver } =
      startFirst(plans, kernel, { maps, cgroup: cgroup?.fd, logLevel: options.verbose ? 1 : undefined })
    own(session)
    // What stays is made last, when nothing can be refused any more.
    pinSets(Object.values(sets), world.remove)
    for (const { kind, map } of Object.values(sets)) {
      const warning = mistaken(kind, map)
      if (warning !== undefined) world.tell(`tcptop: ${warning}`)
    }
    const gaveUp = giveUp(kernel, () => session.stats(), world.otherThreads())
    if (options.verbose) for (const line of [...describe(plan, passedOver, session.programs), gaveUp]) world.tell(line)

    const { format, grouping } = options
    const clear = options.clear && world.out.isTerminal
    const size = () => clear ? world.out.size() : undefined
    const frames = trace(session, aggregate, plan.backend.name, world.clock, {
      interval: options.interval,
      count: options.count,
      sort: options.sort,
      byFamily: grouping.byFamily,
      limit: () => Math.min(options.rows ?? Infinity, size()?.rows ?? Infinity),
      decode: grouping.decode,
    }, options.maxFlows, world.stop, Row.size)

    await world.out.write(format.start(options))
    let warned = false
    for await (const frame of frames) {
      if (frame.loadavg === null && options.summary && !warned) {
        world.tell('tcptop: /proc/loadavg cannot be read: the summary line is left out')
        warned = true
      }
      await world.out.write(format.frame(frame, { clear, ...size(), summary: options.summary, grouping }))
      if (options.verbose) world.tell(cost(world, aggregate.flows))
    }
  } finally {
    for (const resource of opened.reverse()) resource.close()
  }
}

function requestOf({ backend, maxFlows, pids, family, cgroup, cgroupMap, mntnsMap }: Options): Parameters<typeof makePlan>[0] {
  return {
    backend,
    maxFlows,
    filter: {
      pids,
      ...(family === undefined ? {} : { family }),
      cgroup: cgroup !== undefined,
      cgroupIds: cgroupMap !== undefined,
      mntnsIds: mntnsMap !== undefined,
    },
  }
}

/** What is known of this kernel: from its own BTF, from one that the user has, or by measurement where there is none. */
async function factsFor({ btf }: Options, world: World, openKernel: () => Kernel): Promise<Facts> {
  if (typeof btf === 'string') return factsByName(fieldsOf(parseGiven(btf, world)), world.arch)
  const bytes = btf === false ? undefined : world.readBtf()
  if (bytes === undefined) return factsByName(await world.measureFields(openKernel()), world.arch)
  try {
    return factsOf(parseBtf(bytes), world.arch)
  } catch (cause) {
    throw new UnsupportedError('this program', 'a kernel whose BTF can be read (CONFIG_DEBUG_INFO_BTF), or --btf FILE, or --no-btf', { cause })
  }
}

function parseGiven(path: string, world: World): Btf {
  try {
    return parseBtf(world.readFile(path))
  } catch (cause) {
    throw new UsageError(`--btf must be the path of a BTF file, got ${JSON.stringify(path)}: ${(cause as Error).message}`, { cause })
  }
}

function openCgroup(world: World, path: string) {
  const cgroup = world.openCgroup(path)
  if (cgroup === undefined) throw new UsageError(`--cgroup must be a cgroup v2 directory, got "${path}"`)
  return cgroup
}

/** Starts the first plan that this kernel takes. Throws the last one's error when it takes none. */
function startFirst(plans: Iterable<Plan>, kernel: Kernel, surroundings: Surroundings) {
  const refused: PassedOver[] = []
  let failure: unknown
  for (const plan of plans) {
    try {
      return { plan, session: startSession(plan, kernel, surroundings), passedOver: [...plan.passedOver, ...refused] }
    } catch (error) {
      if (!(error instanceof SyscallError || error instanceof UnsupportedError)) throw error
      refused.push({ backend: plan.backend.name, reason: `what needs ${plan.variant.needs} is refused: ${error.message}` })
      failure = error
    }
  }
  throw failure
}

function describe({ backend, variant }: Plan, passedOver: readonly PassedOver[], programs: readonly Program[]): string[] {
  return [
    ...passedOver.map(({ backend, reason }) => `passed over backend ${backend}: ${reason}`),
    `backend ${backend.name}${backends.length > 1 ? ` of ${backends.map(({ name }) => name).join(', ')}` : ''}`,
    ...programs.flatMap(program => program.log === undefined || program.log === '' ? [] : [`verifier log of ${program.name}:`, program.log]),
    ...variant.limits.map(limit => `note: ${limit}`),
  ]
}

function cost({ usage }: World, flows: number): string {
  const { cpu, rss } = usage()
  const memory = rss === undefined ? 'unknown' : `${(rss / 1024 / 1024).toFixed(1)} MiB`
  return `flows ${flows}, cpu ${cpu.toFixed(3)} s, memory ${memory}`
}

function isClosedPipe(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EPIPE' && !(error instanceof SyscallError)
}

/** One line: what happened and, where there is something to do, what. */
function explain(error: unknown, verbose: boolean, { readText }: World): string {
  if (error instanceof SyscallError) {
    const line = `${error.message}${advice(error, powerOf(readText))}`
    return verbose && error instanceof VerifierError ? `${line}\n${error.log}` : line
  }
  if (error instanceof UsageError || error instanceof UnsupportedError || error instanceof PlanError) return error.message
  return error instanceof Error ? (verbose ? error.stack ?? error.message : error.message) : String(error)
}

import { BtfError, parseBtf } from '../bpf-asm/index.js'
import { type Kernel, SyscallError, UnsupportedError, VerifierError } from '../syscall/index.js'
import {
  backends, dump, dumpJson, type Facts, factsByName, factsOf, type Loaded, makePlan, makePlans, type Plan, PlanError, type Session, sources,
  startBest, startSession,
} from './backend/index.js'
import { lookAt, reportJson, reportOf, reportText, selfCheck } from './doctor/index.js'
import { type Clock, countedFrames, loadAggregate, pour, untilEnded } from './frame/index.js'
import { advice, giveUp, powerOf } from './host/index.js'
import { cgroupSet, mistaken, mntnsSet, type NamedSet, openSet, type Options, parseOptions, pinSets, SetAppeared } from './option/index.js'
import { type Field, fieldsOf, mapName, type PidNamespace } from './program/index.js'
import { jsonText, printable, type Refusal, Scope, startFirst } from './trace/index.js'
import { UsageError } from './usage-error.js'
import { type CgroupDirectory, cgroupPath, CgroupPaths, costs, currentName, insideNamespace, type Output, printed, type Usage } from './view/index.js'

/** Everything that the program needs from outside. */
export interface World {
  openKernel(): Kernel
  /** The running kernel's BTF; undefined where there is none. */
  readBtf(): Uint8Array | undefined
  /** A BTF that the user has. Throws Node's error, and another for what cannot be one. */
  readBtfFile(path: string): Uint8Array
  /** Finds by measurement where the kernel keeps what programs read. Throws UnsupportedError where it cannot be told. */
  measureFields(kernel: Kernel): Promise<Field>
  /** A file of the kernel, such as one of /proc; undefined when it cannot be read. */
  readText(path: string): string | undefined
  /** Where a link of /proc leads; undefined when that cannot be read. */
  readLink(path: string): string | undefined
  /** The machine, by Node's name. */
  readonly arch: string
  readonly clock: Clock
  readonly out: Output
  /** The command that started it, to be typed once more. */
  readonly command: readonly string[]
  /** One line for the user, on stderr. */
  tell(line: string): void
  /** Opens a cgroup v2 directory, by its path or by what rows show of it; undefined when it is none. */
  openCgroup(path: string): { readonly fd: number; readonly id: bigint; close(): void } | undefined
  /** The pid namespace that the tool runs in; undefined in the initial one. */
  pidNamespace(): PidNamespace | undefined
  /** Where cgroup v2 is mounted; undefined where it is not. */
  cgroupRoot(): string | undefined
  /** All cgroup v2 directories that can be seen, none where that is not mounted. */
  cgroups(): Iterable<CgroupDirectory>
  /** False when something is at `path` that is no object of BPF; true also where we may not look. */
  mayBePin(path: string): boolean
  /** Removes a file. */
  remove(path: string): void
  usage(): Usage
  /** Ids of the threads of this process but the main one; undefined when they are not known. */
  otherThreads(): readonly number[] | undefined
  /** Ids of all processes now; undefined when they are not known. */
  processes(): ReadonlySet<number> | undefined
  /** Aborts when the user has seen enough. Until it is asked for, that ends the process at once. */
  interrupted(): AbortSignal
}

/** Runs the program and returns its exit status: 0, 1 when the kernel refuses, or the doctor says that it would, 2 for wrong usage. */
export async function main(argv: readonly string[], outside: World): Promise<number> {
  const world: World = { ...outside, tell: text => outside.tell(text.split('\n').map(printable).join('\n')) }
  let verbose = false
  try {
    const request = await parseOptions(argv)
    if ('text' in request) {
      await world.out.write(request.text)
      return 0
    }
    verbose = request.verbose
    if (request.doctor) return await examine(request, world)
    await runWithSets(request, world)
    return 0
  } catch (error) {
    if (isClosedPipe(error)) return 0
    world.tell(`tcptop: ${explain(error, verbose, world)}`)
    return error instanceof UsageError ? 2 : 1
  }
}

/** Runs; and starts over when another tool has made one of the sets meanwhile, for all share the one that is pinned. */
async function runWithSets(options: Options, world: World): Promise<void> {
  for (;;) {
    try {
      return await run(options, world)
    } catch (error) {
      if (!(error instanceof SetAppeared)) throw error
    }
  }
}

async function run(options: Options, world: World): Promise<void> {
  const pidNamespace = world.pidNamespace()
  const request = requestOf(options, pidNamespace)
  const sourceOf = sources(world.readText)
  const writeDump = (plan: Plan, loaded?: Loaded) =>
    world.out.write(options.format.name === 'json' ? dumpJson(plan, sourceOf, loaded) : dump(plan, loaded))
  if (options.dumpBpf && !options.verbose) return writeDump(makePlan(request, await factsFor(options, world, world.openKernel)))

  const scope = new Scope()
  try {
    const cgroup = options.cgroup === undefined ? undefined : scope.own(openCgroup(world, options.cgroup))
    const kernel = world.openKernel()
    const sets: Record<string, NamedSet> = {}
    for (const [kind, path, name] of [
      [cgroupSet, options.cgroupMap, mapName.cgroupIds],
      [mntnsSet, options.mntnsMap, mapName.mntnsIds],
    ] as const) {
      if (path === undefined) continue
      const set = openSet(kernel, kind, path, world.mayBePin)
      scope.own(set.map)
      sets[name] = set
    }
    if (options.verbose) {
      const statistics = kernel.enableStats()
      if (statistics !== undefined) scope.own(statistics)
    }
    // What the user wrote is checked: from here on it is the kernel that refuses.
    const facts = await factsFor(options, world, () => kernel)
    await tryGiven(options, request, facts, world, kernel)
    const plans = makePlans(request, facts)
    const aggregate = await loadAggregate(options.grouping.mask())
    const maps = Object.fromEntries(Object.entries(sets).map(([name, { map }]) => [name, map]))
    const surroundings = { maps, cgroup, ...(options.verbose ? { logLevel: 1, sourceOf } as const : {}) }
    const start = (plan: Plan) => scope.own(startSession(plan, kernel, surroundings))
    // Where there are others to choose from, the kernel is asked first.
    const { candidate: plan, started: session, refused } = options.backend === 'auto' ? startBest(plans, kernel, start) : startFirst(plans, start)
    const notes = options.verbose ? describe(plan, refused, session, facts) : []
    notes.forEach(world.tell)
    if (options.dumpBpf) return await writeDump(plan, session.programs.map(program => program.info()))
    // What stays is made last, when nothing can be refused any more.
    pinSets(Object.values(sets), world.remove)
    for (const { kind, map } of Object.values(sets)) {
      const warning = mistaken(kind, map)
      if (warning !== undefined) world.tell(`tcptop: ${warning}`)
    }
    const gaveUp = giveUp(kernel, () => void [session.stats(), session.flows.batch(), pidNamespace && session.pidInside(1)], world.otherThreads())
    if (options.verbose) world.tell(gaveUp)

    const stop = AbortSignal.any([world.interrupted(), scope.own(untilEnded(options.pids, world)).signal])
    const clear = options.clear && world.out.isTerminal
    const frames = countedFrames({
      session,
      aggregate,
      backend: plan.backend.name,
      clock: world.clock,
      interval: options.interval,
      count: options.count,
      maxFlows: options.maxFlows,
      stop,
      decorators: [
        currentName(session.nameOf),
        ...pidNamespace === undefined ? [] : [insideNamespace(session.pidInside)],
        cgroupPath(new CgroupPaths(world.cgroups, world.clock.now)),
      ],
    })
    await pour(frames, [
      // Lines of `-v` under each frame take up one of the screen.
      printed({ ...options, clear, spare: options.verbose ? 1 : 0 }, world.out, world.tell),
      ...options.verbose ? [costs(world.usage, world.tell)] : [],
    ])
    // Frames have cleared what was said at the start.
    if (clear) [...notes, ...options.verbose ? [gaveUp] : []].forEach(world.tell)
  } finally {
    scope.close()
  }
}

/** Writes what this host offers; the status is what `auto` would come to here. */
async function examine(options: Options, world: World): Promise<number> {
  const report = reportOf(await lookAt({
    ...world,
    facts: () => factsFor(options, world, world.openKernel),
    plans: (backend, facts) => makePlans({ ...requestOf(options, world.pidNamespace()), backend }, facts),
  }), world.command)
  const width = world.out.isTerminal ? world.out.size()?.columns : undefined
  await world.out.write(options.format.name === 'json' ? reportJson(report) : reportText(report, width))
  return report.backend === null ? 1 : 0
}

function requestOf({ backend, maxFlows, pids, family, cgroup, cgroupMap, mntnsMap }: Options, pidNamespace?: PidNamespace): Parameters<typeof makePlan>[0] {
  return {
    backend,
    maxFlows,
    filter: {
      pids,
      ...(family === undefined ? {} : { family }),
      cgroup: cgroup !== undefined,
      cgroupIds: cgroupMap !== undefined,
      mntnsIds: mntnsMap !== undefined,
      ...(pidNamespace === undefined ? {} : { pidNamespace }),
    },
  }
}

/**
 * What is known of this kernel: from its own BTF, from one that the user has, or by measurement where there is none or it cannot be used. Throws
 * UsageError when the user's is no BTF, or not of this kernel.
 */
async function factsFor({ btf, dumpBpf, verbose }: Options, world: World, openKernel: () => Kernel): Promise<Facts> {
  if (typeof btf === 'string') {
    const given = fieldsGiven(btf, world)
    // Programs that are only printed may be those of any kernel.
    if (!dumpBpf || verbose) checkGiven(btf, given, ownFacts(world))
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

function fieldsGiven(path: string, world: World): Field {
  try {
    return fieldsOf(parseBtf(world.readBtfFile(path)))
  } catch (cause) {
    throw new UsageError(`--btf must be the path of a BTF file, got ${jsonText(path)}: ${(cause as Error).message}`, { cause })
  }
}

/** Where the kernel has BTF of its own, the user's must agree in what is read. */
function checkGiven(path: string, given: Field, own: Facts | Error | undefined): void {
  if (own === undefined || own instanceof Error) return
  const is = own.field()
  const text = (member: Field[keyof Field]) => member === undefined ? 'absent' : 'offset' in member ? `at byte ${member.offset}, of ${member.size}` : 'different'
  for (const name of new Set([...Object.keys(is), ...Object.keys(given)]) as Set<keyof Field>) {
    if (JSON.stringify(given[name]) === JSON.stringify(is[name])) continue
    throw notThisKernels(path, `${name} is ${text(given[name])} there, and ${text(is[name])} here`)
  }
}

function notThisKernels(path: string, why: string): UsageError {
  return new UsageError(`--btf must be the BTF of this kernel, got ${jsonText(path)}: ${why}`)
}

/** Where nothing else tells whether the user's BTF is this kernel's, a connection with known bytes does. Its sockets are closed when the tool attaches. */
async function tryGiven({ btf }: Options, request: Parameters<typeof makePlans>[0], facts: Facts, world: World, kernel: Kernel): Promise<void> {
  if (typeof btf !== 'string') return
  const own = ownFacts(world)
  if (own !== undefined && !(own instanceof Error)) return
  const everything = { pids: [], cgroup: false, cgroupIds: false, mntnsIds: false }
  const wrong = await selfCheck(makePlans({ ...request, maxFlows: 1024, filter: everything }, facts), kernel)
  if (wrong !== undefined) throw notThisKernels(btf, wrong)
}

const where = (root: string | undefined) => root === undefined ? 'cgroup v2 is mounted nowhere' : `cgroup v2 is mounted at ${root}`

function openCgroup(world: World, path: string) {
  const cgroup = world.openCgroup(path)
  if (cgroup === undefined) throw new UsageError(`--cgroup must be a cgroup v2 directory, got ${jsonText(path)}; ${where(world.cgroupRoot())}`)
  return cgroup
}

function describe({ backend, variant, passedOver }: Plan, refused: readonly Refusal<Plan>[], { programs, runs }: Session, { damage }: Facts): string[] {
  const refusals = refused.map(({ candidate, error }) =>
    ({ backend: candidate.backend.name, reason: `what needs ${candidate.variant.needs} is refused: ${error.message}` }))
  return [
    ...[...passedOver, ...refusals].map(({ backend, reason }) => `passed over backend ${backend}: ${reason}`),
    `backend ${backend.name}${backends.length > 1 ? ` of ${backends.map(({ name }) => name).join(', ')}` : ''}`,
    ...programs.flatMap(program => program.log === undefined || program.log === '' ? [] : [`verifier log of ${program.name}:`, program.log]),
    ...damage === undefined ? [] : [`note: the kernel's BTF: ${damage}`],
    ...variant.limits.map(limit => `note: ${limit}`),
    ...runs().missed === null ? ['note: this kernel does not count the program runs that it skips'] : [],
  ]
}

function isClosedPipe(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EPIPE' && !(error instanceof SyscallError)
}

/** One line: what happened and, where there is something to do, what. */
function explain(error: unknown, verbose: boolean, { readText }: World): string {
  if (error instanceof SyscallError) {
    const line = printable(`${error.message}${advice(error, powerOf(readText))}`)
    return verbose && error instanceof VerifierError ? `${line}\n${error.explanation}\n\n${error.log}` : line
  }
  if (error instanceof UsageError || error instanceof UnsupportedError || error instanceof PlanError) return printable(error.message)
  return error instanceof Error ? (verbose ? error.stack ?? error.message : printable(error.message)) : printable(String(error))
}

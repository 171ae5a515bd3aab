import { backends, dump, dumpJson, type Facts, type Loaded, makePlan, makePlans, type Plan, type Session, sources, startBest, startSession } from '../backend/index.js'
import { countedFrames, loadAggregate, type Origin, Pace, pour, type Sink, untilEnded } from '../frame/index.js'
import { giveUp } from '../host/index.js'
import { cgroupSet, mistaken, mntnsSet, type NamedSet, openSet, type Options, pinSets, SetAppeared } from '../option/index.js'
import { mapName, type PidNamespace } from '../program/index.js'
import { jsonText, type Refusal, Scope, startFirst } from '../trace/index.js'
import { UsageError } from '../usage-error.js'
import { cgroupPath, CgroupPaths, costs, currentName, groupings, insideNamespace, printed, together } from '../view/index.js'
import { factsFor, type PlanRequest, tryGiven } from './facts.js'
import type { World } from './world.js'

/** The host that the tool runs on. */
export function originOf({ readText }: World): Origin {
  return { host: readText('/proc/sys/kernel/hostname')?.trim() ?? '', boot: readText('/proc/sys/kernel/random/boot_id')?.trim() ?? null }
}

/**
 * Prints what moves, or hands it to other sinks, or prints the programs that would count it. Starts over when another tool has made one of the sets meanwhile, for all share the one that
 * is pinned. Throws UsageError, SyscallError, VerifierError and UnsupportedError.
 */
export async function watch(options: Options, world: World, sinks?: readonly Sink[]): Promise<void> {
  for (;;) {
    try {
      return await run(options, world, sinks)
    } catch (error) {
      if (!(error instanceof SetAppeared)) throw error
    }
  }
}

async function run(options: Options, world: World, sinks?: readonly Sink[]): Promise<void> {
  const pidNamespace = world.pidNamespace()
  const tty = sinks === undefined && options.live && world.tty?.canMove && world.tty.size() !== undefined ? world.tty : undefined
  const request = requestOf(options, pidNamespace)
  const sourceOf = sources(world.readText)
  const writeDump = (plan: Plan, loaded?: Loaded) =>
    world.out.write(options.format.name === 'json' ? dumpJson(plan, sourceOf, loaded) : dump(plan, loaded))
  const isPrinted = options.dumpBpf && !options.verbose
  const btf = { ...options, isPrinted }
  if (isPrinted) return writeDump(makePlan(request, await factsFor(btf, world, world.openKernel)))

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
    const facts = await factsFor(btf, world, () => kernel)
    await tryGiven(btf, request, facts, world, kernel)
    const plans = makePlans(request, facts)
    const aggregate = await loadAggregate((tty === undefined ? options.grouping : together([...groupings, options.grouping])).mask())
    const maps = Object.fromEntries(Object.entries(sets).map(([name, { map }]) => [name, map]))
    const surroundings = { maps, cgroup, ...(options.verbose ? { logLevel: 1, sourceOf } as const : {}) }
    const start = (plan: Plan) => scope.own(startSession(plan, kernel, surroundings))
    // Where there are others to choose from, the kernel is asked first.
    const { candidate: plan, started: session, refused } = options.backend === 'auto' ? startBest(plans, kernel, start) : startFirst(plans, start)
    if (options.verbose) describe(plan, refused, session, facts).forEach(world.log)
    if (options.dumpBpf) return await writeDump(plan, session.programs.map(program => program.info()))
    // What stays is made last, when nothing can be refused any more.
    pinSets(Object.values(sets), world.remove)
    for (const { kind, map } of Object.values(sets)) {
      const warning = mistaken(kind, map)
      if (warning !== undefined) world.log(`tcptop: ${warning}`)
    }
    const gaveUp = giveUp(kernel, () => void [session.stats(), session.flows.batch(), pidNamespace && session.pidInside(1)], world.otherThreads())
    if (options.verbose) world.log(gaveUp)

    const quit = new AbortController()
    const stop = AbortSignal.any([quit.signal, world.interrupted(), scope.own(untilEnded(options.pids, world)).signal])
    const pace = new Pace(options.interval)
    const frames = countedFrames({
      session,
      aggregate,
      backend: plan.variant.backend,
      clock: world.clock,
      pace,
      ...options.format.hidden ? { origin: originOf(world) } : {},
      count: options.count,
      maxFlows: options.maxFlows,
      stop,
      decorators: [
        currentName(session.nameOf),
        ...pidNamespace === undefined ? [] : [insideNamespace(session.pidInside)],
        cgroupPath(new CgroupPaths(world.cgroups, world.clock.now)),
      ],
    })
    if (tty === undefined) {
      await pour(frames, [...sinks ?? [printed(options, world.out, world.log)], ...options.verbose ? [costs(world.usage, world.log)] : []])
    } else {
      const { liveScreen } = await import('../view/screen/index.js')
      await pour(frames, [scope.own(liveScreen(options, plan.variant.backend, { ...world, tty, pace, quit: () => quit.abort() }))])
    }
  } finally {
    scope.close()
  }
}

function requestOf({ backend, maxFlows, pids, family, cgroup, cgroupMap, mntnsMap }: Options, pidNamespace?: PidNamespace): PlanRequest {
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

const where = (root: string | undefined) => root === undefined ? 'cgroup v2 is not mounted' : `cgroup v2 is mounted at ${root}`

function openCgroup(world: World, path: string) {
  const cgroup = world.openCgroup(path)
  if (cgroup === undefined) throw new UsageError(`--cgroup must be a cgroup v2 directory, got ${jsonText(path)}; ${where(world.cgroupRoot())}`)
  return cgroup
}

function describe({ variant, passedOver }: Plan, refused: readonly Refusal<Plan>[], { programs, runs }: Session, { damage }: Facts): string[] {
  const refusals = refused.map(({ candidate, error }) =>
    ({ backend: candidate.variant.backend, reason: `its variant for ${candidate.variant.needs} is refused: ${error.message}` }))
  return [
    ...[...passedOver, ...refusals].map(({ backend, reason }) => `passed over backend ${backend}: ${reason}`),
    `backend ${variant.backend}${backends.length > 1 ? ` of ${backends.join(', ')}` : ''}`,
    ...programs.flatMap(program => program.log === undefined || program.log === '' ? [] : [`verifier log of ${program.name}:`, program.log]),
    ...damage === undefined ? [] : [`note: the kernel's BTF: ${damage}`],
    ...variant.limits.map(limit => `note: ${limit}`),
    ...runs().missed === null ? ['note: this kernel does not count the program runs that it skips'] : [],
  ]
}

import { makePlans } from '../backend/index.js'
import { lookAt, reportJson, reportOf, reportText } from '../doctor/index.js'
import { btfOf, choice, type Command, defaultMaxFlows, specs, textFormats } from '../option/index.js'
import { factsFor, type PlanRequest } from './facts.js'
import type { World } from './world.js'

/** Reports what this host offers. The exit status is 0 when `auto` finds a backend, 1 when it does not. */
export const doctor: Command<World> = {
  name: 'doctor',
  summary: 'whether it runs on this host',
  usage: '[-f table|json] [--btf FILE | --no-btf]',
  help: `Reports what this host offers, and what to do about the rest. Without privileges
it shows what the kernel refuses. The exit status is 0 when tcptop runs here, 1
when it does not.`,
  options: {
    format: { ...specs.format, choices: textFormats.map(({ name }) => name), describe: 'what to print: table or json (default table)' },
    btf: specs.btf,
    'no-btf': specs['no-btf'],
  },
  positionals: [],
  examples: [],
  run: async (line, world) => {
    const btf = btfOf(line)
    const format = choice('--format', textFormats, line.value('format') ?? textFormats[0]!.name, ' with doctor')
    const pidNamespace = world.pidNamespace()
    const request: Omit<PlanRequest, 'backend'> = {
      maxFlows: defaultMaxFlows,
      filter: { pids: [], cgroup: false, cgroupIds: false, mntnsIds: false, ...(pidNamespace === undefined ? {} : { pidNamespace }) },
    }
    const report = reportOf(await lookAt({
      ...world,
      facts: () => factsFor(btf, world, world.openKernel),
      plans: (backend, facts) => makePlans({ ...request, backend }, facts),
    }), world.command)
    const width = world.out.isTerminal ? world.out.size()?.columns : undefined
    await world.out.write(format.name === 'json' ? reportJson(report) : reportText(report, width))
    return report.backend === null ? 1 : 0
  },
}

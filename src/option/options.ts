import { backends } from '../backend/index.js'
import type { Sort } from '../frame/index.js'
import { UsageError } from '../usage-error.js'
import { type Format, formats, type Grouping, groupings, together } from '../view/index.js'
import { choice, either, path, pids, seconds, whole } from './value.js'
import { commonOptions } from './command.js'
import type { CommandLine, Spec } from './command-line.js'
import { suggestion } from './nearest.js'

/** What the user asks for, checked as far as that is possible without looking at the system. */
export interface Options {
  /** A terminal shows the live screen. */
  readonly live: boolean
  readonly summary: boolean
  /** Only these processes; all if empty. */
  readonly pids: readonly number[]
  /** Paths of pinned maps. */
  readonly cgroupMap?: string
  readonly mntnsMap?: string
  readonly family?: 4 | 6
  /** Seconds between frames, and as the user wrote them. */
  readonly interval: number
  readonly intervalText: string
  /** Frames until the end; forever without. */
  readonly count?: number
  readonly sort: Sort
  /** At most so many rows in each table. */
  readonly rows?: number
  /** Path of a cgroup v2 directory. */
  readonly cgroup?: string
  readonly verbose: boolean
  readonly format: Format
  readonly grouping: Grouping
  /** The name of a backend, or `auto`. */
  readonly backend: string
  /** Capacity of the kernel's map of flows. */
  readonly maxFlows: number
  /** Path of a BTF to take for the kernel's; false: none, what the programs read is found by measurement. */
  readonly btf?: string | false
  readonly dumpBpf: boolean
}

const [defaultFormat, defaultGrouping] = [formats[0]!, groupings[0]!]
/** By what name each can be asked for. */
const backendChoices = ['auto', ...backends].map(name => ({ name }))
/** In which programs can be printed, and what the doctor says. */
export const textFormats = formats.filter(({ name }) => name === 'table' || name === 'json')
export const defaultMaxFlows = 65_536
/** Of rows and flows alike. So many flows take more than 128 MB of the kernel's memory. */
const most = 1_000_000

/** All options by their long names, in the order of the help. */
export const specs = {
  noclear: { letter: 'C', flag: true, describe: 'print one update after the other, also on a terminal' },
  nosummary: { letter: 'S', flag: true, describe: 'do not print the load average' },
  pid: { value: 'PID', letter: 'p', repeatable: true, describe: 'only this process; several: -p 1,2 or repeated' },
  cgroupmap: { value: 'PATH', describe: 'only cgroups whose id is a key of the BPF map pinned here' },
  mntnsmap: { value: 'PATH', describe: 'only mount namespaces whose id is a key of the BPF map pinned here' },
  cgroup: { value: 'PATH', letter: 'c', describe: 'only this cgroup v2 directory and those below it' },
  ipv4: { letter: '4', flag: true, describe: 'IPv4 only, also where it is mapped into IPv6' },
  ipv6: { letter: '6', flag: true, describe: 'IPv6 only' },
  by: { value: 'KEY', choices: groupings.map(({ name }) => name), describe: `what a row is: ${either(groupings)} (default ${defaultGrouping.name}), or several, as comm,cgroup` },
  sort: { value: 'KEY', choices: ['all', 'sent', 'received'], letter: 's', describe: 'all (received and sent, the default), sent, received, or a column in lower case' },
  rows: { value: 'N', letter: 'r', describe: 'at most N rows per table' },
  format: { value: 'FORMAT', choices: formats.map(({ name }) => name), letter: 'f', describe: `what to print: ${either(formats)} (default ${defaultFormat.name})` },
  backend: { value: 'NAME', choices: backendChoices.map(({ name }) => name), describe: `how to attach to the kernel: ${either(backendChoices)} (default auto)` },
  'max-flows': { value: 'N', describe: `capacity of the kernel's map of connections (default ${defaultMaxFlows})` },
  btf: { value: 'FILE', describe: 'find kernel fields in this BTF file, on a kernel without BTF' },
  'no-btf': { flag: true, describe: 'find kernel fields by measurement, as on a kernel without BTF' },
  'dump-bpf': { flag: true, describe: 'print the BPF programs instead of running them (no privileges needed); with -v as this kernel loads them' },
  verbose: { letter: 'v', flag: true, describe: 'print to stderr what was chosen, why, and what it costs' },
  ...commonOptions,
} as const satisfies Record<string, Spec>

/**
 * What the user asks for on a command line. `words` may have been meant where something else stands. Pure. Throws UsageError, whose message is one
 * line: the option, what it must be and what was given.
 */
export function optionsOf(line: CommandLine<Exclude<keyof typeof specs, 'help' | 'version'>>, words: readonly string[] = []): Options {
  const [intervalText = '1', count] = line.rest
  if (line.has('ipv4') && line.has('ipv6')) throw new UsageError('only one of --ipv4 and --ipv6 may be given, got both')
  const cgroupMap = line.value('cgroupmap')
  const mntnsMap = line.value('mntnsmap')
  const cgroup = line.value('cgroup')
  const rows = line.value('rows')
  const dumpBpf = line.has('dump-bpf')
  const formatName = line.value('format') ?? defaultFormat.name
  const format = dumpBpf ? choice('--format', textFormats, formatName, ' with --dump-bpf') : choice('--format', formats, formatName)
  const grouping = groupingOf(line.value('by') ?? defaultGrouping.name)

  return Object.freeze<Options>({
    live: format.isForEyes && !line.has('noclear'),
    summary: !line.has('nosummary'),
    pids: pids('--pid', line.values('pid')),
    ...(cgroupMap !== undefined && { cgroupMap: path('--cgroupmap', 'the path of a pinned BPF map', cgroupMap) }),
    ...(mntnsMap !== undefined && { mntnsMap: path('--mntnsmap', 'the path of a pinned BPF map', mntnsMap) }),
    ...(line.has('ipv4') && { family: 4 }),
    ...(line.has('ipv6') && { family: 6 }),
    interval: intervalOf(intervalText, words),
    intervalText,
    ...(count !== undefined && { count: whole('count', count, 1) }),
    sort: sortOf(grouping, line.value('sort') ?? 'all'),
    ...(rows !== undefined && { rows: whole('--rows', rows, 1, most) }),
    ...(cgroup !== undefined && { cgroup: path('--cgroup', 'the path of a cgroup v2 directory', cgroup) }),
    verbose: line.has('verbose'),
    format,
    grouping,
    backend: choice('--backend', backendChoices, line.value('backend') ?? 'auto').name,
    maxFlows: whole('--max-flows', line.value('max-flows') ?? `${defaultMaxFlows}`, 1, most),
    ...btfOf(line),
    dumpBpf,
  })
}

/** Which BTF is to be taken: see `Options.btf`. Throws UsageError. */
export function btfOf(line: CommandLine<'btf' | 'no-btf'>): Pick<Options, 'btf'> {
  const file = line.value('btf')
  if (!line.has('no-btf')) return file === undefined ? {} : { btf: path('--btf', 'the path of a BTF file', file) }
  if (file !== undefined) throw new UsageError('only one of --btf and --no-btf may be given, got both')
  return { btf: false }
}

/** The interval; a word that is no number may be a misspelt sub-command. */
function intervalOf(text: string, words: readonly string[]): number {
  try {
    return seconds('interval', text)
  } catch (error) {
    const meant = suggestion(text, words)
    throw error instanceof UsageError && meant !== '' ? new UsageError(`${error.message}${meant}`) : error
  }
}

/** The grouping by names that are separated by commas. Throws UsageError. */
export function groupingOf(names: string): Grouping {
  return together(names.split(',').map(name => choice('--by', groupings, name)))
}

/** What rows of a grouping are sorted by. Throws UsageError. */
export function sortOf({ name, sorts }: Grouping, key: string): Sort {
  const keys = [...sorts].map(([name, sort]) => ({ name, sort }))
  const lower = key.toLowerCase()
  return choice('--sort', keys, keys.some(({ name }) => name === lower) ? lower : key, ` with --by ${name}`).sort
}

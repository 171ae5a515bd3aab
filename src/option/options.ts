import { packageVersion } from '../asset.js'
import { backends } from '../backend/index.js'
import type { Sort } from '../frame/index.js'
import { jsonText } from '../trace/index.js'
import { UsageError } from '../usage-error.js'
import { type Format, formats, type Grouping, groupings, together } from '../view/index.js'
import { choice, either, path, pids, seconds, whole } from './check.js'
import { type CommandLine, parseCommandLine, type Spec } from './command-line.js'
import { shells } from './completion.js'
import { helpText } from './help.js'
import { suggestion } from './nearest.js'

/** What the user asks for, checked as far as that is possible without looking at the system. */
export interface Options {
  /** Clear a terminal before each frame. */
  readonly clear: boolean
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
  /** Room in the kernel's map of flows. */
  readonly maxFlows: number
  /** Path of a BTF to take for the kernel's; false: none, what the programs read is found by measurement. */
  readonly btf?: string | false
  readonly dumpBpf: boolean
  /** Tell what this host offers instead of running. */
  readonly doctor: boolean
}

/** Text to print instead of running: the help or the version. */
export interface Answer {
  readonly text: string
}

const [defaultFormat, defaultGrouping] = [formats[0]!, groupings[0]!]
/** By what name each can be asked for. */
const backendChoices = [{ name: 'auto' }, ...backends]
/** In which programs can be printed, and what the doctor says. */
const textFormats = formats.filter(({ name }) => name === 'table' || name === 'json')
const defaultMaxFlows = 65_536
/** Of rows and flows alike. So many flows take more than 128 MB of the kernel's memory. */
const most = 1_000_000

/** All options by their long names, in the order of the help. */
const specs = {
  noclear: { letter: 'C', flag: true, describe: 'do not clear the screen' },
  nosummary: { letter: 'S', flag: true, describe: 'no line with the load average' },
  pid: { value: 'PID', letter: 'p', repeatable: true, describe: 'only this process; several: -p 1,2 or repeated' },
  cgroupmap: { value: 'PATH', describe: 'only cgroups whose id is a key of the BPF map pinned here' },
  mntnsmap: { value: 'PATH', describe: 'only mount namespaces whose id is a key of the BPF map pinned here' },
  cgroup: { value: 'PATH', letter: 'c', describe: 'only this cgroup v2 directory and those below it' },
  ipv4: { letter: '4', flag: true, describe: 'IPv4 only, also where it is mapped into IPv6' },
  ipv6: { letter: '6', flag: true, describe: 'IPv6 only' },
  by: { value: 'KEY', choices: groupings.map(({ name }) => name), describe: `what a row is: ${either(groupings)} (default ${defaultGrouping.name}), or several, as comm,cgroup` },
  sort: { value: 'KEY', choices: ['all', 'sent', 'received'], letter: 's', describe: 'all (received and sent, the default), sent, received, or a column in lower case' },
  rows: { value: 'N', letter: 'r', describe: 'at most so many rows in a table' },
  format: { value: 'FORMAT', choices: formats.map(({ name }) => name), letter: 'f', describe: `what to print: ${either(formats)} (default ${defaultFormat.name})` },
  backend: { value: 'NAME', choices: backendChoices.map(({ name }) => name), describe: `how to hook into the kernel: ${either(backendChoices)} (default auto)` },
  'max-flows': { value: 'N', describe: `room in the kernel's map of connections (default ${defaultMaxFlows})` },
  btf: { value: 'FILE', describe: 'find what the programs read by the BTF in this file, of a kernel that has none itself' },
  'no-btf': { flag: true, describe: 'find what the programs read by measurement, as where there is no BTF' },
  'dump-bpf': { flag: true, describe: 'print the BPF programs instead of running them (no privileges needed); with -v as this kernel takes them' },
  verbose: { letter: 'v', flag: true, describe: 'tell on stderr what is chosen, why, and what it costs' },
  help: { letter: 'h', flag: true, describe: 'print this' },
  version: { letter: 'V', flag: true, describe: 'print the version' },
} as const satisfies Record<string, Spec>

const program = 'tcptop'
/** Words that may stand in the place of the interval. */
const subCommands = ['doctor', 'completion', 'help'] as const

/** What may stand with the word that takes the place of the interval. */
const doctorOptions: readonly string[] = ['format', 'btf', 'no-btf'] satisfies (keyof typeof specs)[]

const usage = `Usage: $0 [options] [interval] [count]
or:    $0 doctor [-f table|json] [--btf FILE | --no-btf]
or:    $0 completion bash|zsh|fish

Top for TCP: bytes that processes receive and send, by ${either(groupings)}.
Prints every interval seconds (default 1, at least 0.1), count times or until
Ctrl-C. The doctor tells what this host offers, and what to do about the rest.`

const examples = [
  ['$0', 'one line for each process and connection, every second'],
  ['$0 -C 5 12', 'every 5 seconds for a minute, one after the other'],
  ['$0 -p 181,182', 'only these processes'],
  ['$0 --by host -s received -r 10', 'the 10 hosts that most came from'],
  ['$0 -f json 10', 'an object every 10 seconds, for other programs'],
  ['$0 --dump-bpf -4', 'the programs for IPv4 only, annotated'],
  ['$0 doctor', 'whether it would run here; needs no privileges'],
  ['source <($0 completion bash)', 'completions for this shell'],
] as const

/**
 * Understands a command line, without the name of the program. Pure but for the version, which it reads. Throws
 * UsageError, whose message is one line: the option, what it must be and what was given.
 */
export async function parseOptions(argv: readonly string[]): Promise<Options | Answer> {
  const line = await parseCommandLine(argv, specs)
  const [word, ...afterWord] = line.rest
  if (line.has('help') || word === 'help') return { text: helpText(program, specs, usage, examples) }
  if (line.has('version')) return { text: `tcptop ${packageVersion()}\n` }

  if (word === 'completion') return { text: completion(afterWord) }
  const doctor = word === 'doctor'
  if (doctor) checkDoctor(line)
  const [intervalText = '1', count, ...more] = doctor ? [] : line.rest
  if (more.length > 0) {
    throw new UsageError(`only interval and count may stand without an option, got ${jsonText(more[0])} as well`)
  }
  if (line.has('ipv4') && line.has('ipv6')) throw new UsageError('only one of --ipv4 and --ipv6 may be given, got both')
  if (line.has('no-btf') && line.value('btf') !== undefined) throw new UsageError('only one of --btf and --no-btf may be given, got both')
  const cgroupMap = line.value('cgroupmap')
  const mntnsMap = line.value('mntnsmap')
  const cgroup = line.value('cgroup')
  const btf = line.value('btf')
  const rows = line.value('rows')
  const dumpBpf = line.has('dump-bpf')
  const formatName = line.value('format') ?? defaultFormat.name
  const format = doctor || dumpBpf
    ? choice('--format', textFormats, formatName, doctor ? ' with doctor' : ' with --dump-bpf')
    : choice('--format', formats, formatName)
  const grouping = together((line.value('by') ?? defaultGrouping.name).split(',').map(name => choice('--by', groupings, name)))

  return Object.freeze<Options>({
    clear: format.fullScreen && !line.has('noclear'),
    summary: !line.has('nosummary'),
    pids: pids('--pid', line.values('pid')),
    ...(cgroupMap !== undefined && { cgroupMap: path('--cgroupmap', 'the path of a pinned BPF map', cgroupMap) }),
    ...(mntnsMap !== undefined && { mntnsMap: path('--mntnsmap', 'the path of a pinned BPF map', mntnsMap) }),
    ...(line.has('ipv4') && { family: 4 }),
    ...(line.has('ipv6') && { family: 6 }),
    interval: intervalOf(intervalText),
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
    ...(line.has('no-btf') && { btf: false }),
    ...(btf !== undefined && { btf: path('--btf', 'the path of a BTF file', btf) }),
    dumpBpf,
    doctor,
  })
}

/** The doctor looks at the host and not at traffic: what is about that would be ignored. */
function checkDoctor({ rest: [, more], has, values }: CommandLine<keyof typeof specs>): void {
  if (more !== undefined) throw new UsageError(`doctor must stand without interval and count, got ${jsonText(more)} as well`)
  const other = (Object.keys(specs) as (keyof typeof specs)[]).find(name => !doctorOptions.includes(name) && (has(name) || values(name).length > 0))
  if (other === undefined) return
  throw new UsageError(`options must be ${either(doctorOptions.map(name => ({ name: `--${name}` })))} with doctor, got --${other}`)
}

/** The script for a shell. */
function completion([shell = '', more]: readonly string[]): string {
  if (more !== undefined) throw new UsageError(`completion must stand with a shell alone, got ${jsonText(more)} as well`)
  return `${choice('completion', shells, shell).script(program, specs, subCommands)}\n`
}

/** What is no number may be meant for a word that takes the place of the interval. */
function intervalOf(text: string): number {
  try {
    return seconds('interval', text)
  } catch (error) {
    const meant = suggestion(text, subCommands)
    throw error instanceof UsageError && meant !== '' ? new UsageError(`${error.message}${meant}`) : error
  }
}

function sortOf({ name, sorts }: Grouping, key: string): Sort {
  const keys = [...sorts].map(([name, sort]) => ({ name, sort }))
  const lower = key.toLowerCase()
  return choice('--sort', keys, keys.some(({ name }) => name === lower) ? lower : key, ` with --by ${name}`).sort
}

/** What tools about connections have in common: their options, the columns, and a line per event. */
import { block, type Code, leave, type Place } from 'tcptop/bpf-asm'
import type { BpfMap, Kernel } from 'tcptop/syscall'
import {
  type Connection, connectionOf, connectionSize, eventMaps, eventsOf, follow, type Inputs, jsonText, kernelBtf, pad, pidNamespace, placesOf, type Point,
  printable, programAt, runTool, sendConnection, startFirst, startTracer,
} from 'tcptop/trace'
import { choice, type Command, commandLine, type Given, type Option, UsageError, whole, wholes } from './command.js'

/** Where a program runs, and what brings the socket into r6 there, or leaves for `exit`. The best point comes first. */
export type Candidate = readonly [on: Point, begin: (inputs: Inputs, exit: Place) => Code]

/** A column of the table, and the field of JSON that it shows. */
export interface Column {
  readonly head: string
  readonly width: number
  readonly of: (connection: Connection) => string | number
  /** The option that it is shown with; always without. */
  readonly option?: string
}

/** A tool about connections. */
export interface ConnectionTool extends Command {
  readonly columns: readonly Column[]
  /** Which of its ends `--port` is about. */
  readonly port: 'lport' | 'rport' | 'either'
  readonly candidates: readonly Candidate[]
}

/** Options of every tool about connections. */
export const options = {
  pid: { short: 'p', value: 'PID', help: 'only connections of this process' },
  uid: { short: 'u', value: 'UID', help: 'only of this user' },
  port: { short: 'P', value: 'PORTS', help: 'only of these ports, separated by commas' },
  ipv4: { short: '4', help: 'only IPv4' },
  ipv6: { short: '6', help: 'only IPv6' },
  cgroupmap: { value: 'PATH', help: 'only of cgroups in this pinned map' },
  mntnsmap: { value: 'PATH', help: 'only of mount namespaces in this pinned map' },
  timestamp: { short: 't', help: 'with the time since the first' },
  'show-uid': { short: 'U', help: 'with the user' },
  format: { short: 'f', value: 'FORMAT', help: 'table or json: an object per line' },
} as const satisfies Readonly<Record<string, Option>>

export const [uid, pid, comm, ip] = [
  { head: 'UID', width: 5, of: ({ uid }) => uid, option: 'show-uid' },
  { head: 'PID', width: 7, of: ({ pid }) => pid === 0 ? '-' : pid },
  { head: 'COMM', width: 12, of: ({ comm }) => printable(comm) },
  { head: 'IP', width: 2, of: ({ family }) => family },
] as const satisfies readonly Column[]

/** What the command line asks for. */
interface Settings {
  readonly pid: number | undefined
  readonly format: 'table' | 'json'
  /** Options that are flags, or are given. */
  readonly has: (name: string) => boolean
  /** Whether a connection is to be shown; what only the kernel knows comes later. */
  readonly wants: (connection: Connection) => boolean
  /** Pinned maps, of which each must have an id of the connection's process. */
  readonly maps: readonly { readonly option: string; readonly path: string; readonly idOf: (connection: Connection) => bigint }[]
}

const portsOf = ({ lport, rport }: Connection, which: ConnectionTool['port']) =>
  which === 'either' ? [lport, rport] : which === 'lport' ? [lport] : [rport]

/** What is looked up in the maps. */
const ids: Readonly<Record<string, (connection: Connection) => bigint>> = { cgroupmap: ({ cgroup }) => cgroup, mntnsmap: ({ mntns }) => BigInt(mntns) }

function settingsOf(given: Given, { port }: ConnectionTool): Settings {
  const has = (name: string) => given.options[name] !== undefined
  if (has('ipv4') && has('ipv6')) throw new UsageError('--ipv4 and --ipv6 exclude each other')
  const ports = wholes(given, 'port', 1, 65535)
  const user = whole(given, 'uid', 0, 0xffff_fffe)
  const family = has('ipv4') ? 4 : has('ipv6') ? 6 : undefined
  return {
    pid: whole(given, 'pid', 1, 4_194_304),
    format: choice(given, 'format', ['table', 'json'], 'table'),
    has,
    wants: connection => (ports?.some(number => portsOf(connection, port).includes(number)) ?? true) && connection.uid === (user ?? connection.uid)
      && connection.family === (family ?? connection.family),
    maps: Object.entries(ids).flatMap(([option, idOf]) => {
      const path = given.options[option]
      return path === undefined ? [] : [{ option, path, idOf }]
    }),
  }
}

/** The queue of events. */
const queue = 'connection'

/** Runs a tool: starts the first candidate that this kernel takes, and prints each connection that is wanted until Ctrl-C. */
export async function runConnectionTool(tool: ConnectionTool): Promise<void> {
  const settings = commandLine(tool, given => settingsOf(given, tool))
  await runTool(tool.name, async ({ kernel, scope, stop }) => {
    const btf = kernelBtf()
    const sets = settings.maps.map(({ option, path, idOf }) => ({ map: scope.own(openSet(kernel, option, path)), idOf }))
    const sending = { pid: settings.pid, namespace: pidNamespace() }
    const { started } = startFirst(tool.candidates, ([on, begin]) => scope.own(startTracer(kernel, {
      maps: eventMaps(queue, connectionSize),
      programs: [programAt(tool.name, on, inputs => [
        block('exit', exit => [begin(inputs, exit), sendConnection(queue, btf, sending)]),
        leave(),
      ], placesOf(btf))],
    })))
    const print = settings.format === 'json' ? printJson : tablePrinter(tool.columns.filter(({ option }) => option === undefined || settings.has(option)),
      settings.has('timestamp'))
    const tellLost = (count: number) => console.error(`${tool.name}: ${count} connections are not shown: too many at once`)
    for await (const event of follow(eventsOf(started, queue), stop, tellLost)) {
      const connection = connectionOf(event)
      if (settings.wants(connection) && sets.every(({ map, idOf }) => has(map, idOf(connection)))) print(connection)
    }
  })
}

function openSet(kernel: Kernel, option: string, path: string): BpfMap {
  let map: BpfMap
  try {
    map = kernel.openMap(path)
  } catch (error) {
    throw new Error(`--${option} ${path}: ${(error as Error).message}`, { cause: error })
  }
  if (map.keySize === 8 && /^(lru_)?hash$/.test(map.type ?? '')) return map
  map.close()
  throw new Error(`--${option} must be a pinned BPF hash map with keys of 8 bytes, and ${path} is not`)
}

const has = (map: BpfMap, id: bigint) => map.lookup(new Uint8Array(BigUint64Array.of(id).buffer)) !== undefined

/** Prints the head, and returns what prints a line. */
function tablePrinter(columns: readonly Column[], isTimed: boolean): (connection: Connection) => void {
  const line = (time: string, cells: readonly (string | number)[]) => {
    const padded = cells.map((cell, index) => pad(String(cell), columns[index]!.width))
    console.log([...isTimed ? [time.padEnd(9)] : [], ...padded].join(' ').trimEnd())
  }
  line('TIME(s)', columns.map(({ head }) => head))
  let first: bigint | undefined
  return connection => {
    first ??= connection.time
    line((Number(connection.time - first) / 1e9).toFixed(3), columns.map(({ of }) => of(connection)))
  }
}

/** One object per line; `time` is that of day, as in tcptop's JSON. */
function printJson({ time, pid, uid, comm, family, laddr, lport, raddr, rport, state }: Connection): void {
  const age = Number(process.hrtime.bigint() - time) / 1e6
  console.log(jsonText({
    time: new Date(Date.now() - age).toISOString(), pid: pid === 0 ? null : pid, uid, comm, family, laddr, lport, raddr, rport, state,
  }))
}

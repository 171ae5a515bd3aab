#!/usr/bin/env node
/**
 * Prints a line for every TCP connection that is closed, with its bytes and how long it lasted, like bcc's tool of this name. `-h` lists the options.
 *
 *   node dist/tools/tracer/tcplife.js [-p PID] [-P PORTS] [-t] …
 *
 * Bytes are those of tcptop, exact to the byte. Where several processes used a connection there is a line for each, with what it moved.
 */
import { type ClosedConnection, intervals, jsonText, pad, printable, runTool, startAccounting } from 'tcptop/trace'
import { choice, type Command, commandLine, type Given, UsageError, whole, wholes } from './command.js'

const command: Command = {
  name: 'tcplife',
  summary: 'Prints a line for every TCP connection that is closed, with its bytes',
  options: {
    pid: { short: 'p', value: 'PID', help: 'only what this process moved' },
    port: { short: 'P', value: 'PORTS', help: 'only of these ports, separated by commas' },
    'local-port': { short: 'L', value: 'PORTS', help: 'only of these local ports' },
    'remote-port': { short: 'D', value: 'PORTS', help: 'only of these remote ports' },
    ipv4: { short: '4', help: 'only IPv4' },
    ipv6: { short: '6', help: 'only IPv6' },
    kilobytes: { short: 'k', help: 'with KiB in place of bytes, as bcc has it' },
    timestamp: { short: 't', help: 'with the time of day' },
    format: { short: 'f', value: 'FORMAT', help: 'table or json: an object per line' },
  },
}

/** Seconds between looks at what was closed. */
const lookEvery = 0.25

interface Settings {
  readonly format: 'table' | 'json'
  readonly has: (name: string) => boolean
  readonly wants: (connection: ClosedConnection) => boolean
}

function settingsOf(given: Given): Settings {
  const has = (name: string) => given.options[name] !== undefined
  if (has('ipv4') && has('ipv6')) throw new UsageError('--ipv4 and --ipv6 exclude each other')
  const [either, local, remote] = ['port', 'local-port', 'remote-port'].map(name => wholes(given, name, 1, 65535))
  const process = whole(given, 'pid', 1, 4_194_304)
  const wanted = has('ipv4') ? 4 : has('ipv6') ? 6 : undefined
  return {
    format: choice(given, 'format', ['table', 'json'], 'table'),
    has,
    wants: ({ pid, family, lport, rport }) => (process === undefined || pid === process) && (wanted === undefined || family === wanted)
      && (either?.some(port => port === lport || port === rport) ?? true) && (local?.includes(lport) ?? true) && (remote?.includes(rport) ?? true),
  }
}

interface Column {
  readonly head: string
  readonly width: number
  readonly align?: 'right'
  readonly of: (connection: ClosedConnection) => string | number
}

function columnsOf({ has }: Settings): readonly Column[] {
  const [unit, size] = has('kilobytes') ? ['_KB', 1024] as const : ['', 1] as const
  const amount = (field: 'tx' | 'rx'): Column =>
    ({ head: `${field.toUpperCase()}${unit}`, width: 8, align: 'right', of: ({ [field]: bytes }) => Math.floor(bytes / size) })
  return [
    ...has('timestamp') ? [{ head: 'TIME', width: 8, of: () => new Date().toTimeString().slice(0, 8) }] : [],
    { head: 'PID', width: 7, of: ({ pid }) => pid ?? '-' },
    { head: 'COMM', width: 12, of: ({ comm }) => comm === '' ? '-' : printable(comm) },
    { head: 'LADDR', width: 15, of: ({ laddr }) => laddr },
    { head: 'LPORT', width: 5, of: ({ lport }) => lport },
    { head: 'RADDR', width: 15, of: ({ raddr }) => raddr },
    { head: 'RPORT', width: 5, of: ({ rport }) => rport },
    amount('tx'), amount('rx'),
    { head: 'MS', width: 1, of: ({ duration }) => duration === null ? '-' : (Number(duration) / 1e6).toFixed(2) },
  ]
}

/** Prints the head, and returns what prints a line. */
function tablePrinter(columns: readonly Column[]): (connection: ClosedConnection) => void {
  const line = (cells: readonly (string | number)[]) =>
    console.log(cells.map((cell, index) => pad(String(cell), columns[index]!.width, columns[index]!.align)).join(' ').trimEnd())
  line(columns.map(({ head }) => head))
  return connection => line(columns.map(({ of }) => of(connection)))
}

/** One object per line; `time` is when it was printed, `ms` how long the connection lasted. */
function printJson({ comm, duration, ...rest }: ClosedConnection): void {
  const ms = duration === null ? null : Number(duration) / 1e6
  console.log(jsonText({ time: new Date().toISOString(), ...rest, comm: comm === '' ? null : comm, ms }))
}

const settings = commandLine(command, settingsOf)
await runTool(command.name, async ({ kernel, scope, stop }) => {
  const accounting = scope.own(startAccounting(kernel))
  const print = settings.format === 'json' ? printJson : tablePrinter(columnsOf(settings))
  for await (const _ of intervals(lookEvery, { stop })) accounting.closed().filter(settings.wants).forEach(print)
  const { tx, rx } = accounting.lost()
  if (tx + rx > 0) console.error(`${command.name}: ${tx} bytes sent and ${rx} received are in no line: too many connections at once`)
})

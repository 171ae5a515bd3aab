/**
 * Prints a line for every TCP connection that a process opens, like bcc's tool of this name.
 *
 *   node dist/tools/tracer/tcpconnect.js [-p PID] [-t]
 *
 *   -p: only connections of this process   -t: with the time since the first
 */
import { parseArgs } from 'node:util'
import { type Btf, type Code, jne, load, note, r1, r10, r2, r6, readKernel } from 'tcptop/bpf-asm'
import {
  connectionOf, connectionSize, emitConnection, eventMaps, eventsOf, firstArgument, follow, kernelBtf, placesOf, type Point, programAt, runTool,
  startFirst, startTracer,
} from 'tcptop/trace'

/** `IPPROTO_TCP`, and `TCP_SYN_SENT` (include/net/tcp_states.h). */
const [tcp, synSent] = [6, 2]

/** Where a connection is opened, the best point first, and how the socket comes into r6 there, or the program to its end. */
const points = (btf: Btf, first = firstArgument(process.arch)): readonly (readonly [on: Point, begin: Code])[] => [
  [{ entry: 'tcp_connect' }, load(r6, 'u64', r1, 0)],
  ...first === undefined ? [] : [[{ kprobe: 'tcp_connect' }, load(r6, 'u64', r1, first)] as const],
  // Also of other protocols, and before the port is chosen.
  [{ tracepoint: 'inet_sock_set_state' }, [
    load(r6, 'u64', r1, 0),
    load(r2, 'u32', r1, 16),
    note('it begins to connect', jne(r2, synSent, 'exit')),
    readKernel(-8, 2, r6, btf.member('sock', 'sk_protocol').offset),
    load(r1, 'u16', r10, -8),
    jne(r1, tcp, 'exit'),
  ]],
]

await runTool('tcpconnect', async ({ kernel, scope, stop }) => {
  const { values } = parseArgs({ options: { pid: { type: 'string', short: 'p' }, timestamp: { type: 'boolean', short: 't' } } })
  const widths = [9, 7, 12, 2, 16, 16, 5]
  const line = (...cells: readonly unknown[]) =>
    console.log(cells.map((cell, index) => String(cell).padEnd(widths[index]!)).slice(values.timestamp ? 0 : 1).join(' ').trimEnd())

  const btf = kernelBtf()
  const pid = values.pid === undefined ? undefined : Number(values.pid)
  const { started: tracer } = startFirst(points(btf), ([on, begin]) => scope.own(startTracer(kernel, {
    maps: eventMaps('opened', connectionSize),
    programs: [programAt('tcpconnect', on, [begin, emitConnection('opened', btf, pid)], placesOf(btf))],
  })))

  line('TIME(s)', 'PID', 'COMM', 'IP', 'SADDR', 'DADDR', 'DPORT')
  const tellLost = (count: number) => console.error(`tcpconnect: ${count} connections are not shown: too many at once`)
  let first: bigint | undefined
  for await (const event of follow(eventsOf(tracer, 'opened'), stop, tellLost)) {
    const { time, pid, comm, family, laddr, raddr, rport } = connectionOf(event)
    first ??= time
    line((Number(time - first) / 1e9).toFixed(3), pid, comm, family, laddr, raddr, rport)
  }
})

/**
 * Prints a line for every TCP connection that a process accepts, like bcc's tool of this name.
 *
 *   node dist/tools/tracer/tcpaccept.js [-p PID] [-t]
 *
 *   -p: only connections of this process   -t: with the time since the first
 */
import { parseArgs } from 'node:util'
import { add, type Btf, call, type Code, jeq, jne, jslt, label, load, lsh, mov, note, r0, r1, r10, r6, r7, readKernel } from 'tcptop/bpf-asm'
import {
  connectionOf, connectionSize, emitConnection, eventMaps, eventsOf, firstArgument, follow, kernelBtf, placesOf, type Point, programAt, runTool, startFirst,
  startTracer,
} from 'tcptop/trace'

/** `IPPROTO_TCP` and `IPPROTO_MPTCP` (include/uapi/linux/in.h). */
const protocol = { tcp: 6, mptcp: 262 } as const
/**
 * `security_sock_graft(sk, socket)`, called for every accepted socket by the process that accepts it, also by one that already waited when the tool
 * started: by then a hook at the return of `inet_csk_accept` is too late for it. Absent without CONFIG_SECURITY_NETWORK.
 */
const grafted = 'security_sock_graft'
/** The numbers of accept() and accept4(), and where `struct pt_regs` has that of the call, by Node's name of the machine. */
const calls = { x64: [43, 288, 'orig_ax'], arm64: [202, 242, 'syscallno'] } as const

/** r6 = what it points to, `offset` bytes on; 0 when that cannot be read. */
const next = (offset: number): Code => [readKernel(-8, 8, r6, offset), load(r6, 'u64', r10, -8)]

/** Where a connection is accepted, the best point first, and how the socket comes into r6 there, or the program to its end. */
function points(btf: Btf): readonly (readonly [on: Point, begin: Code])[] {
  // There are no other machines with a shim.
  const [accept, accept4, number] = calls[process.arch as keyof typeof calls]
  const offset = (struct: string, member: string) => btf.member(struct, member).offset
  const returned = 8 * (btf.func('inet_csk_accept')?.params.length ?? 0)
  return [
    [{ entry: grafted }, load(r6, 'u64', r1, 0)],
    [{ kprobe: grafted }, load(r6, 'u64', r1, firstArgument(process.arch) ?? 0)],
    [{ exit: 'inet_csk_accept' }, load(r6, 'u64', r1, returned)],
    // trace_sys_exit(regs, ret), at every system call: what was accepted is found by its file descriptor.
    [{ rawTracepoint: 'sys_exit' }, [
      load(r6, 'u64', r1, 0),
      load(r7, 'u64', r1, 8),
      note('r7: the file descriptor', jslt(r7, 0, 'exit')),
      readKernel(-8, 4, r6, offset('pt_regs', number)),
      note('the call', load(r1, 'u32', r10, -8)),
      jeq(r1, accept, 'accepted'),
      jne(r1, accept4, 'exit'),
      label('accepted'),
      note('the task’s table of files', call('get_current_task'), mov(r6, r0)),
      next(offset('task_struct', 'files')), next(offset('files_struct', 'fdt')), next(offset('fdtable', 'fd')),
      note('the file, its socket, and of that the end that TCP knows', lsh(r7, 3), add(r6, r7), next(0)),
      next(offset('file', 'private_data')), next(offset('socket', 'sk')),
    ]],
  ]
}

const accepted = (btf: Btf, begin: Code, pid: number | undefined): Code => [
  begin,
  note('also others than TCP accept, and all may fail', jeq(r6, 0, 'exit')),
  readKernel(-8, 2, r6, btf.member('sock', 'sk_protocol').offset),
  load(r1, 'u16', r10, -8),
  jeq(r1, protocol.tcp, 'connection'),
  jne(r1, protocol.mptcp, 'exit'),
  label('connection'),
  emitConnection('accepted', btf, pid),
]

await runTool('tcpaccept', async ({ kernel, scope, stop }) => {
  const { values } = parseArgs({ options: { pid: { type: 'string', short: 'p' }, timestamp: { type: 'boolean', short: 't' } } })
  const widths = [9, 7, 12, 2, 16, 5, 16, 5]
  const line = (...cells: readonly unknown[]) =>
    console.log(cells.map((cell, index) => String(cell).padEnd(widths[index]!)).slice(values.timestamp ? 0 : 1).join(' ').trimEnd())

  const btf = kernelBtf()
  const pid = values.pid === undefined ? undefined : Number(values.pid)
  const { started: tracer } = startFirst(points(btf), ([on, begin]) => scope.own(startTracer(kernel, {
    maps: eventMaps('accepted', connectionSize),
    programs: [programAt('tcpaccept', on, accepted(btf, begin, pid), placesOf(btf))],
  })))

  line('TIME(s)', 'PID', 'COMM', 'IP', 'RADDR', 'RPORT', 'LADDR', 'LPORT')
  const tellLost = (count: number) => console.error(`tcpaccept: ${count} connections are not shown: too many at once`)
  let first: bigint | undefined
  for await (const event of follow(eventsOf(tracer, 'accepted'), stop, tellLost)) {
    const { time, pid, comm, family, laddr, lport, raddr, rport } = connectionOf(event)
    first ??= time
    line((Number(time - first) / 1e9).toFixed(3), pid, comm, family, raddr, rport, laddr, lport)
  }
})

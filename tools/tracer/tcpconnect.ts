#!/usr/bin/env node
/**
 * Prints a line for every TCP connection that a process opens, like bcc's tool of this name. `-h` lists the options.
 *
 *   node dist/tools/tracer/tcpconnect.js [-p PID] [-P PORTS] [-t] …
 */
import { is, note, r1, r2, r6 } from 'tcptop/bpf-asm'
import { type Candidate, comm, ip, options, pid, runConnectionTool, uid } from './connection.js'

/** `IPPROTO_TCP`, and `TCP_SYN_SENT` (include/net/tcp_states.h). */
const [tcp, synSent] = [6, 2]

const candidates: readonly Candidate[] = [
  [{ entry: 'tcp_connect' }, ({ args }) => args.sk.load(r6)],
  [{ kprobe: 'tcp_connect' }, ({ args }) => args.sk.load(r6)],
  // Also for other protocols, and before the port is chosen.
  [{ tracepoint: 'inet_sock_set_state' }, ({ args, field }, exit) => [
    args.sk.load(r6),
    args.newstate!.load(r2),
    note('it begins to connect', is.ne32(r2, synSent).jump(exit)),
    field('sock', 'sk_protocol').load(r1, r6),
    note('by TCP', is.ne(r1, tcp).jump(exit)),
  ]],
]

await runConnectionTool({
  name: 'tcpconnect',
  summary: 'Prints a line for every TCP connection that a process opens',
  options: { ...options, 'local-port': { short: 'L', help: 'with the local port' } },
  port: 'rport',
  candidates,
  columns: [
    uid, pid, comm, ip,
    { head: 'SADDR', width: 16, of: ({ laddr }) => laddr },
    { head: 'LPORT', width: 5, of: ({ lport }) => lport, option: 'local-port' },
    { head: 'DADDR', width: 16, of: ({ raddr }) => raddr },
    { head: 'DPORT', width: 5, of: ({ rport }) => rport },
  ],
})

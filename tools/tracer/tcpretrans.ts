#!/usr/bin/env node
/**
 * Prints a line for every TCP segment that is sent again, like bcc's tool of this name. `-h` lists the options.
 *
 *   node dist/tools/tracer/tcpretrans.js [-P PORTS] [-4 | -6] [-t] [-f json]
 */
import { r6 } from 'tcptop/bpf-asm'
import { type Candidate, type Column, ip, options, runConnectionTool } from './connection.js'

/** include/net/tcp_states.h, from 1 on. */
const states = [
  'ESTABLISHED', 'SYN_SENT', 'SYN_RECV', 'FIN_WAIT1', 'FIN_WAIT2', 'TIME_WAIT', 'CLOSE', 'CLOSE_WAIT', 'LAST_ACK', 'LISTEN', 'CLOSING', 'NEW_SYN_RECV',
] as const

const candidates: readonly Candidate[] = [
  [{ tracepoint: 'tcp_retransmit_skb' }, ({ args }) => args.sk.load(r6)],
  [{ kprobe: 'tcp_retransmit_skb' }, ({ args }) => args.sk.load(r6)],
]

const { port, ipv4, ipv6, timestamp, format } = options
const end = (address: string, port: number) => address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
const columns: readonly Column[] = [
  ip,
  { head: 'LADDR:LPORT', width: 22, of: ({ laddr, lport }) => end(laddr, lport) },
  { head: 'T>', width: 2, of: () => 'R>' },
  { head: 'RADDR:RPORT', width: 22, of: ({ raddr, rport }) => end(raddr, rport) },
  { head: 'STATE', width: 12, of: ({ state }) => states[state - 1] ?? state },
]

await runConnectionTool({
  name: 'tcpretrans',
  summary: 'Prints a line for every TCP segment that is sent again',
  options: { port: { ...port, help: 'only to or from these ports, separated by commas' }, ipv4, ipv6, timestamp, format },
  port: 'either',
  candidates,
  columns,
})

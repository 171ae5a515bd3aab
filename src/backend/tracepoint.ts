import {
  consumedBy, destroyed, probed, received, seedFile, seedSocket, sent, stateSet, transmitted, typed,
} from '../program/index.js'
import type { Backend, Hook } from './backend.js'
import { limit } from './limit.js'

/** In this order, for the first knows the owners. */
const seeds: readonly Hook[] = [
  { program: 'tcptop_files', on: { iterator: 'task_file' }, code: seedFile },
  { program: 'tcptop_sockets', on: { iterator: 'tcp' }, code: seedSocket },
]

/**
 * Tracepoints and iterators alone: works without kprobes, without ftrace and, where they are typed, in lockdown.
 * Linux 6.3 brought `sock_send_length` and `sock_recv_length` (commit 6e6eda44b939); before, packets tell that something was sent.
 */
export const tracepoint: Backend = {
  name: 'tracepoint',
  variants: [{
    needs: 'Linux 6.3 with BTF',
    access: typed,
    locked: false,
    calls: true,
    hooks: [
      { program: 'tcptop_state', on: { tracepoint: 'inet_sock_set_state' }, code: stateSet },
      { program: 'tcptop_destroy', on: { tracepoint: 'tcp_destroy_sock' }, code: destroyed },
      { program: 'tcptop_destroy2', on: { tracepoint: 'tcp_destroy_sock' }, code: destroyed },
      { program: 'tcptop_rx', on: { tracepoint: 'tcp_rcv_space_adjust' }, code: consumedBy },
      { program: 'tcptop_tx', on: { tracepoint: 'sock_send_length' }, code: sent },
      { program: 'tcptop_call_rx', on: { tracepoint: 'sock_recv_length' }, code: received },
      ...seeds,
    ],
    limits: [
      limit.blocked, limit.ktls, limit.framing, limit.mptcpSocket, limit.sockmapCall, limit.urgent, limit.unaccepted, limit.reconnected,
    ],
  }, {
    needs: 'Linux 5.12 with BTF',
    helper: 'check_mtu',
    access: typed,
    locked: false,
    calls: false,
    hooks: [
      { program: 'tcptop_state', on: { tracepoint: 'inet_sock_set_state' }, code: stateSet },
      { program: 'tcptop_destroy', on: { tracepoint: 'tcp_destroy_sock' }, code: destroyed },
      { program: 'tcptop_destroy2', on: { tracepoint: 'tcp_destroy_sock' }, code: destroyed },
      { program: 'tcptop_rx', on: { tracepoint: 'tcp_rcv_space_adjust' }, code: consumedBy },
      { program: 'tcptop_packet', on: { tracepoint: 'net_dev_queue' }, code: transmitted },
      ...seeds,
    ],
    limits: [limit.packets, limit.ktls, limit.mptcpSubflow, limit.sockmapQueue, limit.urgent, limit.unaccepted, limit.reconnected],
  }, {
    needs: 'Linux 5.5',
    access: probed,
    locked: true,
    calls: false,
    hooks: [
      { program: 'tcptop_state', on: { rawTracepoint: 'inet_sock_set_state' }, code: stateSet },
      { program: 'tcptop_destroy', on: { rawTracepoint: 'tcp_destroy_sock' }, code: destroyed },
      { program: 'tcptop_destroy2', on: { rawTracepoint: 'tcp_destroy_sock' }, code: destroyed },
      { program: 'tcptop_rx', on: { rawTracepoint: 'tcp_rcv_space_adjust' }, code: consumedBy },
      { program: 'tcptop_packet', on: { rawTracepoint: 'net_dev_queue' }, code: transmitted },
      ...seeds.map(hook => ({ ...hook, optional: true } as const)),
    ],
    limits: [limit.packets, limit.ktls, limit.mptcpSubflow, limit.sockmapQueue, limit.urgent, limit.unaccepted],
  }],
}

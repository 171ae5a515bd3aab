import { consumedBy, destroyed, received, seedFile, seedSocket, sent, stateSet } from '../program/index.js'
import type { Backend } from './backend.js'

/**
 * Tracepoints and iterators, read with typed loads alone: works without kprobes, without ftrace and in lockdown.
 * Linux 6.3 brought `sock_send_length` and `sock_recv_length` (commit 6e6eda44b939).
 */
export const tracepoint: Backend = {
  name: 'tracepoint',
  hooks: [
    { program: 'tcptop_state', on: { tracepoint: 'inet_sock_set_state' }, code: stateSet },
    { program: 'tcptop_destroy', on: { tracepoint: 'tcp_destroy_sock' }, code: destroyed },
    { program: 'tcptop_rx', on: { tracepoint: 'tcp_rcv_space_adjust' }, code: consumedBy },
    { program: 'tcptop_tx', on: { tracepoint: 'sock_send_length' }, code: sent },
    { program: 'tcptop_call_rx', on: { tracepoint: 'sock_recv_length' }, code: received },
    // In this order, for the first knows the owners.
    { program: 'tcptop_files', on: { iterator: 'task_file' }, code: seedFile },
    { program: 'tcptop_sockets', on: { iterator: 'tcp' }, code: seedSocket },
  ],
  needs: 'Linux 6.3 with BTF',
  limits: [
    'a send is counted when its call returns, not while it is blocked',
    'kTLS is counted as ciphertext; the framing of what was sent when the connection ends',
    'an MPTCP connection is counted at its MPTCP socket; its subflows are no rows',
    'an urgent byte read ahead of the stream is counted when the stream passes it or the socket closes',
    'in other network namespaces, what waits in an accept queue when the tool starts is not counted when it is received',
    'what BPF programs redirect between sockets (sockmap) is charged to the caller by its return value, and what the kernel sends on for it to the kernel',
    'a socket that chose its local port and connects once more has its last interval’s bytes shown with the new remote address',
  ],
}

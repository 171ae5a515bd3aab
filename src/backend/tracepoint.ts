import { consumedBy, probed, received, sent, transmitted, typed } from '../program/index.js'
import { audits, lifeAt, rawPoint, rawRenames, renames, seeds, seedsIfAny, typedPoint } from './hook.js'
import { limit } from './limit.js'
import { of5_12, type Variant } from './variant.js'

// Tracepoints and iterators alone: they work without kprobes, without ftrace and, where they are typed, in lockdown.

/** Linux 6.3 brought `sock_send_length` and `sock_recv_length` (commit 6e6eda44b939), which calls on sockets pass when they return. */
export const tracepointAtCall: Variant = {
  backend: 'tracepoint',
  needs: 'Linux 6.3 with BTF',
  access: typed,
  locked: false,
  calls: true,
  hooks: [
    renames,
    ...lifeAt(typedPoint, [
      { program: 'tcptop_rx', on: { tracepoint: 'tcp_rcv_space_adjust' }, code: consumedBy },
      { program: 'tcptop_tx', on: { tracepoint: 'sock_send_length' }, code: sent },
      { program: 'tcptop_call_rx', on: { tracepoint: 'sock_recv_length' }, code: received },
    ]),
    ...audits,
    ...seeds,
  ],
  limits: [
    limit.blocked, limit.ktls, limit.framing, limit.mptcpSocket, limit.mptcpCall, limit.sockmapCall, limit.urgent, limit.unaccepted, limit.reconnected,
    limit.skipped, limit.skippedCall,
  ],
}

/** Before them, packets show that something was sent. */
export const tracepointAtPacket: Variant = {
  backend: 'tracepoint',
  needs: 'Linux 5.12 with BTF',
  helper: of5_12,
  access: typed,
  locked: false,
  calls: false,
  hooks: [
    renames,
    ...lifeAt(typedPoint, [
      { program: 'tcptop_rx', on: { tracepoint: 'tcp_rcv_space_adjust' }, code: consumedBy },
      { program: 'tcptop_packet', on: { tracepoint: 'net_dev_queue' }, code: transmitted },
    ]),
    ...audits,
    ...seeds,
  ],
  limits: [limit.packets, limit.ktls, limit.mptcpSubflow, limit.sockmapQueue, limit.urgent, limit.urgentAlone, limit.unaccepted, limit.reconnected],
}

/** The same without BTF. */
export const rawTracepointAtPacket: Variant = {
  backend: 'tracepoint',
  needs: 'Linux 5.5',
  access: probed,
  locked: true,
  calls: false,
  hooks: [
    rawRenames,
    ...lifeAt(rawPoint, [
      { program: 'tcptop_rx', on: { rawTracepoint: 'tcp_rcv_space_adjust' }, code: consumedBy },
      { program: 'tcptop_packet', on: { rawTracepoint: 'net_dev_queue' }, code: transmitted },
    ]),
    ...seedsIfAny,
  ],
  limits: [limit.packets, limit.ktls, limit.mptcpSubflow, limit.sockmapQueue, limit.urgent, limit.urgentAlone, limit.unaccepted],
}

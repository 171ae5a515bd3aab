import { consumedBy, receivedFrom, receivedFromMap, releasedMptcp, sentLocked, sentTo, sentToMap, sentWithSyn, typed } from '../program/index.js'
import { audits, flush, lifeAt, renames, seeds, typedPoint } from './hook.js'
import { limit } from './limit.js'
import { of5_12, type Variant } from './variant.js'

/**
 * The return of the functions that take bytes from a caller, under the socket's lock, and tracepoints for the rest. What
 * MPTCP and sockmaps call is hooked apart, so that plain TCP does not pay for it; an MPTCP socket is read when a call lets go of it, so that
 * calls that are in the kernel already count too.
 */
export const fentryAtReturn: Variant = {
  backend: 'fentry',
  needs: 'Linux 5.12 with BTF and ftrace',
  helper: of5_12,
  access: typed,
  locked: true,
  calls: true,
  hooks: [
    renames,
    ...lifeAt(typedPoint, [
      { program: 'tcptop_tx', on: { exit: 'tcp_sendmsg_locked' }, code: sentLocked },
      // Until Linux 6.4 sendfile and splice go another way.
      { program: 'tcptop_tx_page', on: { exit: 'do_tcp_sendpages' }, optional: true, code: sentLocked },
      { program: 'tcptop_mptcp', on: { entry: 'mptcp_release_cb' }, part: 'mptcp', code: releasedMptcp },
      // Since Linux 6.2 MPTCP sends data with a SYN, by this.
      { program: 'tcptop_fastopen', on: { exit: 'tcp_sendmsg_fastopen' }, part: 'mptcp', optional: true, code: sentWithSyn },
      { program: 'tcptop_mptcp_tx', on: { exit: 'mptcp_sendmsg' }, optional: true, without: 'mptcp', code: sentTo },
      { program: 'tcptop_mptcp_rx', on: { exit: 'mptcp_recvmsg' }, optional: true, without: 'mptcp', code: receivedFrom },
      { program: 'tcptop_map_tx', on: { exit: 'tcp_bpf_sendmsg' }, optional: true, code: sentToMap },
      { program: 'tcptop_map_rx', on: { exit: 'tcp_bpf_recvmsg' }, optional: true, code: receivedFromMap },
      { program: 'tcptop_parse_rx', on: { exit: 'tcp_bpf_recvmsg_parser' }, optional: true, code: receivedFromMap },
      { program: 'tcptop_rx', on: { tracepoint: 'tcp_rcv_space_adjust' }, code: consumedBy },
    ]),
    flush,
    ...audits,
    ...seeds,
  ],
  limits: [
    limit.blocked, limit.ktls, limit.mptcpSocket, limit.sockmapCall, limit.ahead, limit.urgent, limit.urgentAlone, limit.unaccepted, limit.reconnected,
    limit.skipped,
  ],
}

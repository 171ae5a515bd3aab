const bySubflow =
  'MPTCP is counted per subflow: a byte that two subflows carry counts twice, and received bytes count when the kernel takes them from the subflow'

/** The known limitations of variants. They are stated here and shown from here: by `-v`, by the doctor and in tools/doc/accuracy.md. */
export const limit = {
  blocked: 'a send is counted when the call returns, not while it blocks',
  ktls: 'kTLS is counted as ciphertext',
  framing: 'the framing of what kTLS sends is counted when the socket closes',
  mptcpSocket: 'an MPTCP connection is counted at its MPTCP socket; its subflows have no rows',
  mptcpCall: 'a call on an MPTCP socket that is under way at the start is counted in full',
  mptcpSubflow: bySubflow,
  mptcpUnknown: `before Linux 5.12 or without BTF, ${bySubflow}`,
  sockmapCall:
    'what BPF programs redirect between sockets (sockmap) is charged to the caller by its return value; what the kernel forwards on its own is charged to the kernel',
  sockmapQueue: 'bytes that a process passes to a sockmap or gets from it are not counted; only what its sockets send and receive themselves is',
  ahead: 'an urgent byte read ahead of the stream is counted when the stream passes it or the socket closes',
  urgent: 'an urgent byte that no process reads is counted when the stream passes it',
  urgentAlone: 'an urgent byte with no data behind it is counted when the socket closes, without a known owner',
  unaccepted:
    'in other network namespaces, a connection that no process has open at the start is counted from its beginning; if it is in flight between processes (SCM_RIGHTS), this includes bytes moved before the start',
  reconnected: 'a socket that reconnects from the same port shows the last interval’s bytes with the new remote address',
  packets:
    'a send is counted when a packet leaves or the socket closes; bytes that several processes send on one socket may be charged to the one that used it last',
  skipped:
    'while a program is preempted, the kernel skips its further runs on that CPU (missed): those bytes are counted later, or charged to another process on the same socket',
  skippedCall: 'what a call on an MPTCP socket or a sockmap returned is not counted where the program was skipped (missed)',
} as const

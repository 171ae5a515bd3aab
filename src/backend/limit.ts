/** What variants cannot see, or see in another way than one would think: for `-v` and the README. */
export const limit = {
  blocked: 'a send is counted when its call returns, not while it is blocked',
  ktls: 'kTLS is counted as ciphertext',
  framing: 'of what kTLS sends, the framing is counted when the socket is closed',
  mptcpSocket: 'an MPTCP connection is counted at its MPTCP socket; its subflows are no rows',
  mptcpCall: 'of a call on an MPTCP socket that is under way at the start, all that it returns is counted',
  mptcpSubflow: 'an MPTCP connection is counted by its subflows, also a byte that they carry twice; what they received, when the kernel takes it from them',
  mptcpUnknown:
    'before Linux 5.12 or without BTF, an MPTCP connection is counted by its subflows, also a byte that they carry twice; what they received, when the kernel takes it from them',
  sockmapCall:
    'what BPF programs redirect between sockets (sockmap) is charged to the caller by its return value, and what the kernel sends on for it to the kernel',
  sockmapQueue: 'what a process gives to a sockmap or gets from it is not counted, but only what its sockets send and receive themselves',
  ahead: 'an urgent byte read ahead of the stream is counted when the stream passes it or the socket closes',
  urgent: 'an urgent byte that nobody asks for is counted when the stream passes it',
  unaccepted:
    'in other network namespaces, a connection that no process has open when the tool starts is counted from its beginning: if it waits in a message to another process, with what was moved before',
  reconnected: 'a socket that connects once more from the same port has its last interval’s bytes shown with the new remote address',
  packets:
    'a send is counted when a packet leaves, or the socket closes; what several processes send on one socket may be charged to the one that used it last',
} as const

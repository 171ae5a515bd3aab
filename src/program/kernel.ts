import { is, lsh, mov, type Register, type Test } from '../../bpf-asm/index.js'

/** Numbers of the kernel that BTF does not have. */

/** `IPPROTO_TCP` and `IPPROTO_MPTCP` (include/uapi/linux/in.h) */
export const protocol = { tcp: 6, mptcp: 262 } as const
/** `AF_INET` and `AF_INET6` (include/linux/socket.h) */
export const family = { inet: 2, inet6: 10 } as const
/** include/net/tcp_states.h */
export const state = {
  established: 1, synSent: 2, synRecv: 3, finWait1: 4, finWait2: 5, timeWait: 6, close: 7, closeWait: 8, lastAck: 9, listen: 10,
  closing: 11, newSynRecv: 12,
} as const

/** A set of states: a bit for each. */
export const bits = (...states: readonly number[]) => states.reduce((set, one) => set | (1 << one), 0)

/** Whether the state in one register is in a set. Clobbers `by`. */
export const isIn = (states: number, state: Register, by: Register): Test => is.set(by, states).after(mov(by, 1), lsh(by, state))

/** `SOCK_DEAD` of `enum sock_flags` (include/net/sock.h): no process has the socket any more. */
export const socketDead = 1 << 0
/** `SOCK_DONE`: the peer's FIN has arrived. */
export const socketDone = 1 << 1
/** `SOCK_BINDPORT_LOCK` (include/net/sock.h): the process chose the port, so the next connection of the socket has the same. */
export const portChosen = 8
/** `SK_USER_DATA_PSOCK` (include/net/sock.h, since 6.0): the socket is in a sockmap. */
export const userDataPsock = 4
/** `TCP_URG_READ` (include/net/tcp.h): recv(MSG_OOB) delivered the urgent byte. */
export const urgentRead = 0x0400
/** `PF_KTHREAD` (include/linux/sched.h) */
export const kernelThread = 0x00200000
/** `MSG_OOB`, `MSG_PEEK`, `MSG_ERRQUEUE` and, since 6.5, `MSG_SPLICE_PAGES` (include/linux/socket.h) */
export const message = { urgent: 0x1, peek: 0x2, errorQueue: 0x2000, splicePages: 0x8000000 } as const
/** `TASK_COMM_LEN` (include/linux/sched.h) */
export const nameSize = 16

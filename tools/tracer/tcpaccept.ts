#!/usr/bin/env node
/**
 * Prints a line for every TCP connection that a process accepts, like bcc's tool of this name. `-h` lists the options.
 *
 *   node dist/tools/tracer/tcpaccept.js [-p PID] [-P PORTS] [-t] …
 */
import { add, all, block, call, type Code, is, lsh, mov, note, type Place, r0, r1, r2, r6, r7, readInto, record, when } from 'tcptop/bpf-asm'
import type { Inputs } from 'tcptop/trace'
import { type Candidate, comm, ip, options, pid, runConnectionTool, uid } from './connection.js'

/** `IPPROTO_TCP` and `IPPROTO_MPTCP` (include/uapi/linux/in.h). */
const protocol = { tcp: 6, mptcp: 262 } as const
/**
 * `security_sock_graft(sk, socket)`, called for every accepted socket by the process that accepts it, also by one that already waited when the tool
 * started: by then a hook at the return of `inet_csk_accept` is too late for it. Absent without CONFIG_SECURITY_NETWORK.
 */
const grafted = 'security_sock_graft'
/** The numbers of accept() and accept4(), and where `struct pt_regs` has that of the call, by Node's name of the machine. */
const calls = { x64: [43, 288, 'orig_ax'], arm64: [202, 242, 'syscallno'] } as const
/**
 * 32-bit calls on x86-64: `TS_COMPAT` (arch/x86/include/asm/thread_info.h), the numbers of accept4() and socketcall() there, and of the latter's
 * own accept() and accept4() (include/uapi/linux/net.h), which are its first argument.
 */
const ia32 = { flag: 2, accept4: 364, socketcall: 102, within: [5, 18] } as const

const stack = record({ number: 'u32', status: 'u32', protocol: 'u16', pointer: 'u64' }).onStack()

/** Leaves unless the socket in r6 is one of TCP: other protocols accept too, and an accept may fail. */
const tcpOnly = ({ field }: Inputs, exit: Place): Code => [
  is.eq(r6, 0).jump(exit),
  field('sock', 'sk_protocol').read(stack.protocol, r6),
  stack.protocol.load(r1),
  note('not TCP', all(is.ne(r1, protocol.tcp), is.ne(r1, protocol.mptcp)).jump(exit)),
]

/** Leaves unless the system call of the `pt_regs` at r6 accepts connections. Clobbers r0 to r5. */
function acceptsOnly({ field }: Inputs, exit: Place): Code {
  // There are no other machines with a shim.
  const [accept, accept4, number] = calls[process.arch as keyof typeof calls]
  const native = all(is.ne(r1, accept), is.ne(r1, accept4)).jump(exit)
  const read = (register: string) => readInto(stack.number, r6, field('pt_regs', register).offset)
  const loadCall = [note('the call', read(number)), stack.number.load(r1)]
  if (process.arch !== 'x64') return [loadCall, native]
  return [
    note('the task', call('get_current_task')),
    field('task_struct', 'thread_info.status').read(stack.status, r0),
    loadCall,
    stack.status.load(r2),
    when(is.set(r2, ia32.flag), block('accepts', accepts => [
      note('a 32-bit call', is.eq(r1, ia32.accept4).jump(accepts)),
      is.ne(r1, ia32.socketcall).jump(exit),
      read('bx'),
      stack.number.load(r1),
      all(...ia32.within.map(within => is.ne(r1, within))).jump(exit),
    ]), native),
  ]
}

/** The last candidate does not see what io_uring accepts, for that is no system call, and nothing of 32-bit processes on arm64. */
const candidates: readonly Candidate[] = [
  [{ entry: grafted }, (inputs, exit) => [inputs.args.sk.load(r6), tcpOnly(inputs, exit)]],
  [{ kprobe: grafted }, (inputs, exit) => [inputs.args.sk.load(r6), tcpOnly(inputs, exit)]],
  [{ exit: 'inet_csk_accept' }, (inputs, exit) => [inputs.args.ret.load(r6), tcpOnly(inputs, exit)]],
  // trace_sys_exit(regs, ret), at every system call: finds the socket by the file descriptor that the call returned.
  [{ rawTracepoint: 'sys_exit' }, (inputs, exit) => {
    const { args, field } = inputs
    /** r6 = the pointer at r6 + offset, 0 when it cannot be read */
    const next = (offset: number): Code => [readInto(stack.pointer, r6, offset), stack.pointer.load(r6)]
    return [
      args[0]!.load(r6),
      args[1]!.load(r7),
      note('r7: the file descriptor', is.slt(r7, 0).jump(exit)),
      acceptsOnly(inputs, exit),
      note('the task’s table of files', call('get_current_task'), mov(r6, r0)),
      next(field('task_struct', 'files').offset), next(field('files_struct', 'fdt').offset), next(field('fdtable', 'fd').offset),
      note('the file, its socket, and of that the end that TCP knows', lsh(r7, 3), add(r6, r7), next(0)),
      next(field('file', 'private_data').offset), next(field('socket', 'sk').offset),
      tcpOnly(inputs, exit),
    ]
  }],
]

await runConnectionTool({
  name: 'tcpaccept',
  summary: 'Prints a line for every TCP connection that a process accepts',
  options,
  port: 'lport',
  candidates,
  columns: [
    uid, pid, comm, ip,
    { head: 'RADDR', width: 16, of: ({ raddr }) => raddr },
    { head: 'RPORT', width: 5, of: ({ rport }) => rport },
    { head: 'LADDR', width: 16, of: ({ laddr }) => laddr },
    { head: 'LPORT', width: 5, of: ({ lport }) => lport },
  ],
})

import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** System calls that something takes, beyond what is before it in the list. */
interface Need {
  readonly of: string
  readonly calls: readonly string[]
}

/** A run on a kernel with BTF: with every backend and output, and as itself, which the kernel, libc, V8 and Node.js take from the first line on. */
const plain: Need = { of: 'a run on a kernel with BTF', calls: [
  'access', 'arch_prctl', 'bpf', 'brk', 'capget', 'capset', 'clock_getres', 'clock_gettime', 'clock_nanosleep', 'clone', 'clone3', 'close',
  'dup', 'dup3', 'epoll_create1', 'epoll_ctl', 'epoll_pwait', 'epoll_pwait2', 'epoll_wait', 'eventfd2', 'execve', 'exit', 'exit_group', 'faccessat',
  'faccessat2', 'fcntl', 'fstat', 'fstatfs', 'futex', 'getcwd', 'getdents64', 'getegid', 'geteuid', 'getgid', 'getpid', 'getppid', 'getrandom',
  'getrlimit', 'getrusage', 'gettid', 'gettimeofday', 'getuid', 'ioctl', 'lseek', 'lstat', 'madvise', 'membarrier', 'mmap', 'mprotect', 'mremap',
  'munmap', 'nanosleep', 'newfstatat', 'open', 'openat', 'perf_event_open', 'pipe2', 'pkey_alloc', 'pkey_free', 'pkey_mprotect', 'poll', 'ppoll',
  'prctl', 'pread64', 'preadv', 'prlimit64', 'pwrite64', 'read', 'readlink', 'readlinkat', 'readv', 'restart_syscall', 'rseq', 'rt_sigaction',
  'rt_sigprocmask', 'rt_sigreturn', 'rt_sigtimedwait', 'sched_getaffinity', 'sched_getparam', 'sched_getscheduler', 'sched_yield',
  'set_robust_list', 'set_tid_address', 'setitimer', 'setrlimit', 'sigaltstack', 'stat', 'statfs', 'statx', 'sysinfo', 'tgkill', 'uname', 'write',
  'writev',
  // Where an output is a socket, as a service's is the journal's, Node.js asks what kind of socket.
  'getsockname', 'getsockopt',
] }

/** What some options and some kernels take beside that. */
export const additions: readonly Need[] = [
  {
    of: 'a kernel without BTF, and --no-btf: a loopback connection shows where fields are, or that --btf FILE fits',
    calls: ['accept4', 'bind', 'connect', 'listen', 'recvfrom', 'sendto', 'setsockopt', 'shutdown', 'socket'],
  },
  { of: '--cgroupmap and --mntnsmap: a set that was pinned is removed if the next one cannot be', calls: ['unlink', 'unlinkat'] },
  { of: 'kprobe on a kernel without its PMU: probes are removed whose owner was killed', calls: ['kill'] },
]

/** The profiles, by the names of their files in tools/recipe. */
export const profiles: Readonly<Record<string, readonly Need[]>> = { 'seccomp.json': [plain], 'seccomp-all.json': [plain, ...additions] }

/** A profile in the form that Docker and the kubelet read. A call that is not there is ENOSYS, as on a kernel that lacks it. */
export function profileText(needs: readonly Need[]): string {
  const names = needs.flatMap(({ calls }) => calls).sort().map(name => JSON.stringify(name))
  const lines = names.reduce<string[]>((lines, name) => {
    const longer = lines.length === 0 ? name : `${lines.at(-1)}, ${name}`
    return lines.length > 0 && longer.length <= 110 ? [...lines.slice(0, -1), longer] : [...lines, name]
  }, [])
  return `{
  "defaultAction": "SCMP_ACT_ERRNO",
  "defaultErrnoRet": 38,
  "archMap": [
    { "architecture": "SCMP_ARCH_X86_64", "subArchitectures": [] },
    { "architecture": "SCMP_ARCH_AARCH64", "subArchitectures": [] }
  ],
  "syscalls": [
    {
      "action": "SCMP_ACT_ALLOW",
      "names": [
        ${lines.join(',\n        ')}
      ]
    }
  ]
}
`
}

/** Writes them: `node dist/tools/seccomp-profile.js` */
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [name, needs] of Object.entries(profiles)) writeFileSync(new URL(`../../tools/recipe/${name}`, import.meta.url), profileText(needs))
}

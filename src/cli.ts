import { closeSync, constants, existsSync, fstatSync, openSync, readdirSync, readFileSync, readlinkSync, statfsSync, statSync, unlinkSync, write } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { openKernel } from '../syscall/index.js'
import { type CgroupDirectory, cgroupMount } from './cgroup.js'
import { main, type Output, type Threads, type World } from './main.js'
import { interrupted, readBtf, systemClock } from './trace/index.js'

/** `CGROUP2_SUPER_MAGIC` and `BPF_FS_MAGIC` (include/uapi/linux/magic.h) */
const cgroup2 = 0x63677270
const bpffs = 0xcafe4a11
/** `PROC_PID_INIT_INO` (include/linux/proc_ns.h) */
const initialPids = 0xeffffffcn

// Whoever does not read what is told on stderr does not end the program.
process.stderr.on('error', () => {})

function usage() {
  const { user, system } = process.cpuUsage()
  return { cpu: (user + system) / 1e6, rss: existsSync('/proc/self') ? process.memoryUsage.rss() : undefined }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}

/** A directory of cgroups and all below it; what goes away meanwhile is left out. */
function* walkCgroups(root: string, path = '/'): Generator<CgroupDirectory> {
  try {
    const folder = `${root}${path}`
    yield { id: statSync(folder, { bigint: true }).ino, path }
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isDirectory()) yield* walkCgroups(root, `${path === '/' ? '' : path}/${entry.name}`)
    }
  } catch {
    // It has been removed, or we may not look into it.
  }
}

const world: World = {
  openKernel,
  readBtf,
  readFile: path => readFileSync(path),
  // Where there is BTF, its code need not be run.
  measureFields: async kernel => (await import('./measure/index.js')).measureFields(kernel),
  readText,
  readLink,
  arch: process.arch,
  clock: {
    ...systemClock,
    cpu: () => usage().cpu,
    date: () => new Date(),
    // Where a container's runtime masks it, it is empty.
    loadavg: () => readText('/proc/loadavg')?.trimEnd() || null,
    every: (seconds, callback) => {
      const timer = setInterval(callback, seconds * 1000)
      return () => clearInterval(timer)
    },
  },
  out: output(),
  tell: line => process.stderr.write(`${line}\n`),
  openCgroup: path => {
    try {
      if (statfsSync(path).type !== cgroup2) return undefined
      const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)
      return { fd, id: fstatSync(fd, { bigint: true }).ino, close: () => closeSync(fd) }
    } catch {
      return undefined
    }
  },
  pidNamespace: () => {
    try {
      const { dev, ino } = statSync('/proc/self/ns/pid', { bigint: true })
      return ino === initialPids ? undefined : { dev, ino }
    } catch {
      return undefined
    }
  },
  *cgroups() {
    const root = cgroupMount(readText('/proc/self/mounts') ?? '')
    if (root !== undefined) yield* walkCgroups(root)
  },
  mayBePin: path => {
    try {
      return statfsSync(path).type === bpffs && !statSync(path).isDirectory()
    } catch {
      return true
    }
  },
  remove: unlinkSync,
  usage,
  otherThreads,
  stop: interrupted(),
}

/** What /proc tells of the other threads. The signal that asks them is SIGRTMAX, the last bit of a mask. */
function otherThreads(): Threads | undefined {
  if (readText('/proc/self/status') === undefined) return undefined
  const ids = readdirSync('/proc/self/task').map(Number).filter(id => id !== process.pid)
  const hearing = ids.filter(id => /^SigBlk:\s*[0-7]/m.test(readText(`/proc/self/task/${id}/status`) ?? ''))
  return { ids: hearing, deaf: ids.length - hearing.length }
}

/** Standard output, written without blocking the program: a slow reader of a pipe must not keep it from draining the kernel’s map. */
function output(): Output {
  const fd = 1
  return {
    // Asked for it, Node.js makes a pipe one that does not block, which nothing else does: a write to a full one would keep its thread for good.
    isTerminal: process.stdout.isTTY === true,
    size: () => {
      const { rows, columns } = process.stdout
      return rows > 0 && columns > 0 ? { rows, columns } : undefined
    },
    write: async text => {
      for (let rest = Buffer.from(text); rest.length > 0;) {
        const written = await new Promise<number>((resolve, reject) =>
          write(fd, rest, (error, count) => !error ? resolve(count) : error.code === 'EAGAIN' ? resolve(0) : reject(error)))
        if (written === 0) await sleep(10)
        rest = rest.subarray(written)
      }
    },
  }
}

// As of a module that never gets to its end: Node.js' own.
process.exitCode = 13
void main(process.argv.slice(2), world).then(status => {
  process.exitCode = status
})

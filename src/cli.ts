import './no-debugger.js'
import { closeSync, constants, existsSync, fstatSync, openSync, readdirSync, readFileSync, readlinkSync, statfsSync, statSync, unlinkSync, write, writeFileSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { endIn, endOnSignals, openKernel, relayOf } from '../syscall/index.js'
import { openTty } from './host/index.js'
import { measureFields } from './locate/index.js'
import { main, type World } from './main.js'
import { grace, interrupted, readBtf, readBtfFile, systemClock } from './trace/index.js'
import { type CgroupDirectory, cgroupMount, isCalled, type Output } from './view/index.js'

/** `CGROUP2_SUPER_MAGIC` and `BPF_FS_MAGIC` (include/uapi/linux/magic.h) */
const cgroup2 = 0x63677270
const bpffs = 0xcafe4a11
/** `PROC_PID_INIT_INO` (include/linux/proc_ns.h) */
const initialPids = 0xeffffffcn

// V8 would compile with its optimizer what a start runs often, on another thread, and the start be over before that pays: 19 ms of CPU for nothing.
setFlagsFromString('--no-opt')

// Before anything asks for process.stdout.
const [stdout, stderr] = [relayOf(1), relayOf(2)]

// A closed stderr does not end the program.
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

/** A cgroup as it is found, with the bytes of its whole path: a name need not be UTF-8. */
interface FoundCgroup extends CgroupDirectory {
  readonly folder: Buffer
}

/** A directory of cgroups and all below it; what is removed meanwhile is skipped. */
function* walkCgroups(folder: Buffer, path = '/'): Generator<FoundCgroup> {
  try {
    yield { id: statSync(folder, { bigint: true }).ino, path, folder }
    for (const { name, isDirectory } of entriesOf(folder)) {
      if (isDirectory) yield* walkCgroups(Buffer.concat([folder, Buffer.from('/'), name]), `${path === '/' ? '' : path}/${name}`)
    }
  } catch {
    // It has been removed, or we may not look into it.
  }
}

/** What is in a directory. Node's types do not know that names may be bytes. */
function entriesOf(folder: Buffer): { readonly name: Buffer; readonly isDirectory: boolean }[] {
  return readdirSync(folder, { withFileTypes: true, encoding: 'buffer' as 'utf8' })
    .map(entry => ({ name: entry.name as unknown as Buffer, isDirectory: entry.isDirectory() }))
}

/** The cgroup that the user means by a path, or by what rows show. */
function findCgroup(text: string): Buffer | string {
  const root = cgroupRoot()
  if (root === undefined || existsSync(text)) return text
  for (const { path, folder } of walkCgroups(Buffer.from(root))) if (isCalled(text, path, root)) return folder
  return text
}

function cgroupRoot(): string | undefined {
  return cgroupMount(readText('/proc/self/mounts') ?? '')
}

/**
 * What is written while a signal may end the program. Once the user has seen enough, a write has `grace` seconds: a reader that has stopped
 * reading would keep any thread that writes for good.
 */
function writes() {
  let stop: AbortSignal | undefined
  let pending = 0
  return {
    interrupted: () => {
      stop = interrupted()
      // What is under way has its time since the signal.
      stop.addEventListener('abort', () => pending === 0 && endIn(undefined))
      return stop
    },
    inTime: async (write: () => void | Promise<void>): Promise<void> => {
      pending++
      if (stop?.aborted) endIn(grace)
      try {
        await write()
      } finally {
        if (--pending === 0 && stop?.aborted) endIn(undefined)
      }
    },
  }
}

const { inTime, interrupted: stopAtSignal } = writes()

const out = output()

const world: World = {
  openKernel: () => {
    endOnSignals(0)
    return openKernel()
  },
  readBtf,
  readBtfFile,
  measureFields: async kernel => measureFields(kernel),
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
  out,
  tty: process.stdout.isTTY === true ? openTty(process, { ...out, writeNow: text => void writeSync(1, text) }) : undefined,
  reverse: async address => {
    const { Resolver } = await import('node:dns/promises')
    return new Resolver({ timeout: 1000, tries: 1 }).reverse(address)
  },
  writeNew: (path, text) => writeFileSync(path, text, { flag: 'wx' }),
  command: [process.execPath, ...process.argv.slice(1, 2)],
  log: line => void inTime(() => void process.stderr.write(`${line}\n`)),
  openCgroup: path => {
    try {
      const folder = findCgroup(path)
      if (statfsSync(folder).type !== cgroup2) return undefined
      const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY)
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
  cgroupRoot,
  *cgroups() {
    const root = cgroupRoot()
    if (root !== undefined) yield* walkCgroups(Buffer.from(root))
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
  processes: () => {
    try {
      return new Set(readdirSync('/proc').map(Number).filter(pid => pid > 0))
    } catch {
      return undefined
    }
  },
  // Asked for once all is attached.
  interrupted: () => {
    setFlagsFromString('--opt')
    return stopAtSignal()
  },
}

function otherThreads(): readonly number[] | undefined {
  if (readText('/proc/self/status') === undefined) return undefined
  return readdirSync('/proc/self/task').map(Number).filter(id => id !== process.pid)
}

/** Standard output, written without blocking the program: a slow reader of a pipe must not keep it from draining the kernel’s map. */
function output(): Output {
  const fd = 1
  return {
    // Touching process.stdout makes a pipe non-blocking; nothing else does. A write to a full blocking pipe would hold its thread forever.
    isTerminal: process.stdout.isTTY === true,
    size: () => {
      const { rows, columns } = process.stdout
      return rows > 0 && columns > 0 ? { rows, columns } : undefined
    },
    write: text => inTime(async () => {
      for (let rest = Buffer.from(text); rest.length > 0;) {
        const written = await new Promise<number>((resolve, reject) =>
          write(fd, rest, (error, count) => !error ? resolve(count) : error.code === 'EAGAIN' ? resolve(0) : reject(error)))
        if (written === 0) await sleep(10)
        rest = rest.subarray(written)
      }
    }),
  }
}

// As of a module that never gets to its end: Node.js' own.
process.exitCode = 13
void main(process.argv.slice(2), world).then(status => inTime(() => {
  const error = stdout.finish()
  if (error !== undefined) world.log(`tcptop: stdout: ${error.message}`)
  process.exitCode = error === undefined ? status : 1
  stderr.finish()
}))

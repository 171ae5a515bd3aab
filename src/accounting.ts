import { type Kernel, openKernel } from '../syscall/index.js'
import { factsOf, makePlans, type Session, startBest, startSession } from './backend/index.js'
import { Flag, Key, Pid, Value } from './layout.js'
import { addressText, cText, entries, kernelBtf, pidNamespace } from './trace/index.js'

/** What a process moved on a TCP connection that is closed by now. */
export interface ClosedConnection {
  /** As it is called where the tool runs; null where no process used it, or none that is in the tool's pid namespace. */
  readonly pid: number | null
  /** Empty where no process used it. */
  readonly comm: string
  readonly family: 4 | 6
  readonly laddr: string
  readonly lport: number
  readonly raddr: string
  readonly rport: number
  /** Bytes that this process sent and received while it was watched, exact to the byte. */
  readonly tx: number
  readonly rx: number
  /** Nanoseconds from when the connection was established until it ended; null where it is older than the accounting, and of MPTCP. */
  readonly duration: bigint | null
}

/** tcptop's accounting at work in the kernel. */
export interface Accounting {
  /** The way that this kernel takes: `fentry`, `kprobe` or `tracepoint`. */
  readonly backend: string
  /**
   * Connections whose sockets were closed since the last call: one for each process that moved bytes on it, or one without any bytes. Throws
   * SyscallError.
   */
  closed(): ClosedConnection[]
  /** Bytes that could not be attributed to a connection: the map was full. Cumulative. Throws SyscallError. */
  lost(): { readonly tx: number; readonly rx: number }
  /** Detaches and unloads everything; nothing stays in the kernel. */
  close(): void
}

/**
 * Starts tcptop's accounting of TCP, exact to the byte, on the best backend that this kernel takes: for tools that want to know of a connection when it
 * is closed. It has room for `connections` at once. `closed` should be called a few times a second: what is closed takes up room until then. Throws
 * SyscallError, UnsupportedError where the kernel has no BTF, and Error where no backend is possible. Since Linux 5.8.
 */
export function startAccounting(kernel: Kernel = openKernel(), { connections = 65536 }: { readonly connections?: number } = {}): Accounting {
  const namespace = pidNamespace()
  const filter = { pids: [], cgroup: false, cgroupIds: false, mntnsIds: false, ...namespace === undefined ? {} : { pidNamespace: namespace } }
  const plans = makePlans({ backend: 'auto', maxFlows: connections, filter }, factsOf(kernelBtf(), process.arch))
  const { candidate, started: session } = startBest(plans, kernel, plan => startSession(plan, kernel))
  const { lost } = session.stats()
  let noticed = 0
  return {
    backend: candidate.variant.backend,
    closed() {
      const { gone, unsettled } = session.stats()
      if (unsettled > 0) session.audit(false)
      if (gone === noticed) return []
      noticed = gone
      // An entry may have been read before its last bytes; the second walk reads them.
      const over = new Set([...entries(session.flows)].filter(([key, value]) => isOwn(key) && isGone(value)).map(([key]) => connectionOf(key)))
      const found = [...entries(session.flows)].filter(([key]) => over.has(connectionOf(key)))
      const own = new Map(found.flatMap(([key, value]) => isOwn(key) && isGone(value) ? [[connectionOf(key), value]] : []))
      const closed = found.filter(([key]) => own.has(connectionOf(key)))
      session.flows.deleteBatch(bytesOf(closed.map(([key]) => key)), closed.length)
      return closed.map(([key, value]) => closedConnection(value, own.get(connectionOf(key))!, session, namespace !== undefined))
    },
    lost() {
      const now = session.stats().lost
      return { tx: now.tx - lost.tx, rx: now.rx - lost.rx }
    },
    close: () => session.close(),
  }
}

const isOwn = (key: DataView) => key.getUint32(Key.pid, true) === 0
const isGone = (value: DataView) => (value.getUint32(Value.flags, true) & Flag.gone) !== 0
/** What the entries of a connection have in common. */
const connectionOf = (key: DataView) => `${key.getBigUint64(Key.cookie, true)} ${key.getUint16(Key.port)}`

function bytesOf(keys: readonly DataView[]): Uint8Array {
  const bytes = new Uint8Array(keys.length * Key.size)
  keys.forEach(({ buffer, byteOffset }, index) => bytes.set(new Uint8Array(buffer, byteOffset, Key.size), index * Key.size))
  return bytes
}

function closedConnection(value: DataView, own: DataView, session: Session, isInside: boolean): ClosedConnection {
  const number = (offset: number) => Number(value.getBigUint64(offset, true))
  const [opened, ended] = [own.getBigUint64(Value.opened, true), own.getBigUint64(Value.ended, true)]
  // Without any bytes, who used it last is known at most.
  const pid = [Value.pid, Value.last].map(offset => value.getUint32(offset, true)).find(pid => pid !== Pid.nobody) ?? Pid.kernel
  return {
    pid: pid === Pid.kernel ? null : isInside ? session.pidInside(pid) ?? null : pid,
    comm: pid === Pid.kernel ? '' : session.nameOf(pid, value.getBigUint64(Value.start, true)) ?? cText(value, Value.comm, 16),
    family: value.getUint16(Value.family, true) === 6 ? 6 : 4,
    laddr: addressText(value, Value.laddr),
    lport: value.getUint16(Value.lport),
    raddr: addressText(value, Value.raddr),
    rport: value.getUint16(Value.rport),
    tx: number(Value.tx),
    rx: number(Value.rx),
    duration: opened === 0n || ended === 0n ? null : ended - opened,
  }
}

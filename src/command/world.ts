import type { Kernel } from '../../syscall/index.js'
import type { HostClock } from '../frame/index.js'
import type { Tty } from '../host/index.js'
import type { KernelFields, PidNamespace } from '../program/index.js'
import type { CgroupDirectory, Output, Usage } from '../view/index.js'

/** Everything that the program needs from outside. */
export interface World {
  openKernel(): Kernel
  /** The running kernel's BTF; undefined where there is none. */
  readBtf(): Uint8Array | undefined
  /** A BTF that the user has. Throws Node's error, and another for what cannot be one. */
  readBtfFile(path: string): Uint8Array
  /** Finds by measurement where the kernel keeps what programs read. Throws UnsupportedError where that fails. */
  measureFields(kernel: Kernel): Promise<KernelFields>
  /** A file of the kernel, such as one of /proc; undefined when it cannot be read. */
  readText(path: string): string | undefined
  /** Where a link of /proc leads; undefined when that cannot be read. */
  readLink(path: string): string | undefined
  /** The machine, by Node's name. */
  readonly arch: string
  readonly clock: HostClock
  readonly out: Output
  /** Standard output where that is a terminal, and its keyboard. */
  readonly tty: Tty | undefined
  /** Names of an address by DNS. Rejects when there are none in a second. */
  reverse(address: string): Promise<readonly string[]>
  /** Writes a file that is not there yet. Throws Node's error. */
  writeNew(path: string, text: string): void
  /** The command that started it, to be typed once more. */
  readonly command: readonly string[]
  /** One line for the user, on stderr. */
  log(line: string): void
  /** Opens a cgroup v2 directory, by its path or by what rows show of it; undefined when it is none. */
  openCgroup(path: string): { readonly fd: number; readonly id: bigint; close(): void } | undefined
  /** The pid namespace that the tool runs in; undefined in the initial one. */
  pidNamespace(): PidNamespace | undefined
  /** Where cgroup v2 is mounted; undefined where it is not. */
  cgroupRoot(): string | undefined
  /** All cgroup v2 directories that can be seen, none where that is not mounted. */
  cgroups(): Iterable<CgroupDirectory>
  /** False when something is at `path` that is no object of BPF; true also where we may not look. */
  mayBePin(path: string): boolean
  /** Removes a file. */
  remove(path: string): void
  usage(): Usage
  /** Ids of the threads of this process but the main one; undefined when they are not known. */
  otherThreads(): readonly number[] | undefined
  /** Ids of all processes now; undefined when they are not known. */
  processes(): ReadonlySet<number> | undefined
  /** Aborts when the user has seen enough. Until it is asked for, that ends the process at once. */
  interrupted(): AbortSignal
}

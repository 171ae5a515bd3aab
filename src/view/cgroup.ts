import type { Row } from '../frame/index.js'
import { printable } from '../trace/index.js'

/** A cgroup v2 directory: its inode's number, which is the cgroup's id, and its path below the mount, `/` the mount itself. */
export interface CgroupDirectory {
  readonly id: bigint
  /** Bytes of names that are not UTF-8 are U+FFFD. */
  readonly path: string
}

/** Where cgroup v2 is mounted, by the text of /proc/self/mounts, which has blanks as octal escapes; undefined where it is not. */
export function cgroupMount(mounts: string): string | undefined {
  return /^\S+ (\S+) cgroup2 /m.exec(mounts)?.[1]?.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)))
}

/** Seconds after which a cgroup that was not found is looked for once more. */
const patience = 1

/**
 * The paths of cgroups by the lower halves of their ids, which is what is counted in the kernel. One that has gone keeps the path it was
 * last seen at. The directories are walked when a row is shown whose cgroup is new, at most once in a frame; one that was not found is looked for
 * at most once a second.
 */
export class CgroupPaths {
  readonly #paths = new Map<string, string>()
  /** When ids that are not known were looked for, by the clock. */
  readonly #missing = new Map<string, number>()
  #isFresh = false

  /** `now` is in seconds. */
  constructor(readonly directories: () => Iterable<CgroupDirectory>, readonly now: () => number) {}

  /** A new frame: what is not known may be there by now. */
  refresh(): void {
    this.#isFresh = false
  }

  /** The row with its cgroup's path in the place of the id, which is looked up when somebody reads it. */
  named(row: Row): Row {
    const { cgroup: id } = row
    if (id === undefined) return row
    const pathOf = () => this.#pathOf(id)
    return { ...row, get cgroup() { return pathOf() } }
  }

  /** The id where no path is known, `-` where the kernel knows no cgroup: of what no process moved. */
  #pathOf(id: string): string {
    if (id === '0') return '-'
    if (!this.#paths.has(id) && !this.#isFresh && this.now() - (this.#missing.get(id) ?? -Infinity) >= patience) {
      for (const { id, path } of this.directories()) this.#paths.set(`${id & 0xffffffffn}`, path)
      this.#isFresh = true
    }
    const path = this.#paths.get(id)
    if (path !== undefined) return path
    // What was walked in this frame had it not.
    if (this.#isFresh) this.#missing.set(id, this.now())
    return id
  }
}

/**
 * Names of a container's cgroup: `docker-ID.scope`, `cri-containerd-ID.scope`, `crio-ID.scope`, `libpod-ID.scope`; the id alone below the
 * runtime's own cgroup; and what containerd makes of a path that was meant for systemd, `PARENT:cri-containerd:ID`.
 */
const container = /^(?:.*?:)?(?:([a-z-]+)[-:])?([0-9a-f]{12})[0-9a-f]{52}(?:\.scope)?$/
/** A unit of systemd that processes may be in. */
const unit = /\.(?:service|scope|slice|socket|mount|swap)$/
/** What a runtime is called by those who use it. */
const known: Readonly<Record<string, string>> = { 'cri-containerd': 'containerd', crio: 'cri-o', libpod: 'podman' }

/** For eyes: the innermost container, as its runtime and 12 digits of its id; or the unit; or the path as it is. */
export function shortCgroup(path: string): string {
  const parts = path.split('/').slice(1)
  for (const part of parts.toReversed()) {
    const [, prefix = parts[0]!, id] = container.exec(part) ?? []
    if (id !== undefined) return `${known[prefix] ?? prefix}:${id}`
  }
  const last = parts.at(-1) ?? ''
  return unit.test(last) ? unescaped(last) : path
}

/** Whether a user may mean this cgroup by `text`: its path as rows have it, whole or below `root`, or its short name. */
export function isCalled(text: string, path: string, root: string): boolean {
  return [path, `${root}${path}`, shortCgroup(path)].some(name => name === text || printable(name) === text)
}

/** Of systemd, which writes `\x2d` for a `-` that is no separator. */
function unescaped(name: string): string {
  return name.replace(/\\x([0-9a-f]{2})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 16)))
}

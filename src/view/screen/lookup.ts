import { tcpServices } from '../../host/index.js'
import { printable } from '../../trace/index.js'
import type { Names } from './column.js'

/** Where names come from. */
export interface Sources {
  /** A file; undefined when it cannot be read. */
  readText(path: string): string | undefined
  /** The names of an address by DNS. Rejects when there are none in time. */
  reverse(address: string): Promise<readonly string[]>
  /** Monotonic seconds. */
  now(): number
  /** A name has arrived. */
  arrived(): void
}

/** Questions that are asked of DNS at once; others wait until a row that needs them is shown again. */
const questions = 8
/** Seconds for which an answer, also that there is none, is used again. */
const lasts = 300
/** Seconds for which what is read of a process is used again: it may run another program. */
const processLasts = 2

/**
 * Names of ports, hosts and processes for what is on the screen. Each is looked up when it is first asked for and remembered; nothing is waited for: a
 * host is its address until its name arrives.
 */
export class Lookup implements Names {
  #services: ReadonlyMap<number, string> | undefined
  readonly #hosts = new Map<string, { readonly name: string | undefined; readonly until: number }>()
  readonly #asked = new Set<string>()
  readonly #commands = new Map<number, { readonly text: string | undefined; readonly until: number }>()
  #users: ReadonlyMap<string, string> | undefined

  constructor(readonly sources: Sources) {}

  service(port: number): string | undefined {
    this.#services ??= namesByPort(this.sources.readText('/etc/services') ?? '')
    return this.#services.get(port)
  }

  host(address: string): string | undefined {
    const now = this.sources.now()
    const known = this.#hosts.get(address)
    if (known !== undefined && known.until > now) return known.name
    if (this.#asked.size < questions && !this.#asked.has(address)) void this.#ask(address)
    return known?.name
  }

  async #ask(address: string): Promise<void> {
    this.#asked.add(address)
    const names = await this.sources.reverse(address).catch(() => [])
    this.#asked.delete(address)
    this.#hosts.set(address, { name: names[0], until: this.sources.now() + lasts })
    this.sources.arrived()
  }

  command(pid: number): string | undefined {
    const now = this.sources.now()
    const known = this.#commands.get(pid)
    if (known !== undefined && known.until > now) return known.text
    const text = this.sources.readText(`/proc/${pid}/cmdline`)?.replace(/\0+$/, '').replaceAll('\0', ' ')
    this.#commands.set(pid, { text: text === '' ? undefined : text, until: now + processLasts })
    return this.#commands.get(pid)?.text
  }

  /** What is known of a process, for its details. */
  details(pid: number): readonly (readonly [name: string, value: string])[] {
    const command = this.command(pid)
    // Real, effective, saved and of the file system: the effective one is what the process may do.
    const uid = /^Uid:\t\d+\t(\d+)/m.exec(this.sources.readText(`/proc/${pid}/status`) ?? '')?.[1]
    return [
      ...command === undefined ? [] : [['command', printable(command)] as const],
      ...uid === undefined ? [] : [['user', this.#userName(uid)] as const],
    ]
  }

  #userName(uid: string): string {
    this.#users ??= new Map((this.sources.readText('/etc/passwd') ?? '').split('\n').flatMap(line => {
      const [name, , uid] = line.split(':')
      return name === undefined || uid === undefined ? [] : [[uid, printable(name)] as const]
    }))
    return this.#users.get(uid) ?? uid
  }
}

/** Names by ports: the first of each. */
function namesByPort(text: string): ReadonlyMap<number, string> {
  const byPort = new Map<number, string>()
  for (const { port, names: [name] } of tcpServices(text)) if (!byPort.has(port)) byPort.set(port, name!)
  return byPort
}

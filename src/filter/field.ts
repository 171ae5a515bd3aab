/**
 * When a condition is decided: once per connection; each time a connection changes its state; once per process and again when that changes; or in
 * user space, for the rows of the screen.
 */
export type Aspect = 'connection' | 'state' | 'process' | 'screen'

/** A field that is a number, or one of a few words that stand for numbers. */
export interface NumberSpec {
  readonly aspect: Aspect
  /** What an error says the value must be. */
  readonly must: string
  /** The greatest value; the least is 0. */
  readonly most: number
  /** Words for one value or for several, as `plainWord` writes them. Where there are words, digits are not accepted. */
  readonly words?: ReadonlyMap<string, readonly number[]>
  /** The canonical word for a value. */
  readonly wordOf?: (value: number) => string
  /** Ports may also be written as services, `:443` and `*`. */
  readonly isPort?: boolean
  /** The target of a link in /proc/PID/ns, such as `net:[4026531840]`, stands for its number. */
  readonly link?: RegExp
}

const [most16, most32] = [65_535, 4_294_967_295]
/** `PID_MAX_LIMIT` of 64-bit kernels (include/linux/threads.h). */
const mostPid = 4_194_304

/** Words for values are compared in lower case and without hyphens. */
export function plainWord(text: string): string {
  return text.toLowerCase().replace(/[-_]/g, '')
}

/** Words for the values 1, 2, 3 …; `more` are aliases, or words for several values. */
function enumeration(words: readonly string[], more: Readonly<Record<string, readonly string[]>> = {}) {
  const valueOf = (word: string) => words.indexOf(word) + 1
  const values = new Map(words.map(word => [plainWord(word), [valueOf(word)]]))
  for (const [name, meant] of Object.entries(more)) values.set(plainWord(name), meant.map(valueOf))
  return { most: words.length, words: values, wordOf: (value: number) => words[value - 1]! }
}

/** In the kernel's order, from `TCP_ESTABLISHED` = 1 on (include/net/tcp_states.h), as ss(8) calls them. */
export const stateNames = [
  'established', 'syn-sent', 'syn-recv', 'fin-wait-1', 'fin-wait-2', 'time-wait', 'closed', 'close-wait', 'last-ack', 'listening', 'closing',
] as const
const stateExcept = (...names: readonly (typeof stateNames)[number][]) => stateNames.filter(name => !names.includes(name))
/** Groups of states, and the other names that ss(8) accepts or prints. */
const stateWords = {
  all: stateNames,
  connected: stateExcept('closed', 'listening'),
  synchronized: stateExcept('closed', 'listening', 'syn-sent'),
  bucket: ['syn-recv', 'time-wait'],
  big: stateExcept('syn-recv', 'time-wait'),
  estab: ['established'], 'syn-rcv': ['syn-recv'], close: ['closed'], unconnected: ['closed'], unconn: ['closed'], listen: ['listening'],
} as const

export const originNames = ['accepted', 'opened'] as const
/** What limits a connection. */
export const limitNames = ['app', 'peer', 'sndbuf', 'net', 'loss', 'reader'] as const

const port: NumberSpec = { aspect: 'connection', must: 'a port from 0 to 65535, a range or a service', most: most16, isPort: true }

export const numberFields = {
  sport: port,
  dport: port,
  port,
  pid: { aspect: 'process', must: `a process id from 0 to ${mostPid}`, most: mostPid },
  uid: { aspect: 'process', must: `a user id from 0 to ${most32}`, most: most32 },
  netns: { aspect: 'connection', must: `the inode of a network namespace, from 0 to ${most32}`, most: most32, link: /^net:\[(\d+)\]$/ },
  mntns: { aspect: 'process', must: `the inode of a mount namespace, from 0 to ${most32}`, most: most32, link: /^mnt:\[(\d+)\]$/ },
  family: {
    aspect: 'connection', must: '4 or 6', most: 6, wordOf: String,
    words: new Map([['4', [4]], ['ip', [4]], ['ipv4', [4]], ['inet', [4]], ['6', [6]], ['ip6', [6]], ['ipv6', [6]], ['inet6', [6]]]),
  },
  state: {
    aspect: 'state', must: `${stateNames.join(', ')}, connected, synchronized, bucket, big or all`, ...enumeration(stateNames, stateWords),
  },
  origin: { aspect: 'connection', must: 'accepted or opened', ...enumeration(originNames) },
  limit: { aspect: 'screen', must: 'app, peer, sndbuf, net, loss or reader', ...enumeration(limitNames) },
} as const satisfies Record<string, NumberSpec>
export type NumberField = keyof typeof numberFields

/** Names of processes and cgroups: exact or by globs. */
export const nameFields = {
  comm: { must: 'the name of a process' },
  cgroup: { must: 'the path of a cgroup' },
} as const satisfies Record<string, { readonly must: string }>
export type NameField = keyof typeof nameFields

/** A measured value, rounded to its smallest unit. */
export interface MeasureSpec {
  readonly must: string
  /** How many of the smallest unit each unit is. */
  readonly units: ReadonlyMap<string, number>
  /** How many of the smallest unit are 1 in the term. */
  readonly scale: number
}

/** Bytes a second per unit: `1500`, `1500B/s`, `1.5k`, `1.5KiB/s`, `12Mbit/s`. No unit ends in `b`, which could mean bits or bytes. */
function rateUnits(): ReadonlyMap<string, number> {
  const prefixes = [...'kmgt'].flatMap((letter, index) => [letter, letter.toUpperCase()].flatMap(prefix =>
    [[prefix, 1000 ** (index + 1)], [`${prefix}i`, 1024 ** (index + 1)]] as const))
  const units = ([['', 1], ...prefixes] as const).flatMap(([prefix, factor]) =>
    [[prefix, factor], [`${prefix}B`, factor], [`${prefix}bit`, factor / 8]] as const)
  return new Map(units.flatMap(([unit, factor]) => [[unit, factor], [`${unit}/s`, factor]]))
}

const rate: MeasureSpec = { must: 'bytes a second, such as 1500, 1M, 1MiB/s or 8Mbit/s', units: rateUnits(), scale: 1 }

export const measureFields = {
  rx: rate,
  tx: rate,
  rtt: { must: 'a time such as 50ms, 200us or 1s', units: new Map([['us', 1], ['µs', 1], ['ms', 1000], ['s', 1_000_000]]), scale: 1_000_000 },
  retrans: { must: 'a share such as 1%', units: new Map([['%', 1000]]), scale: 100_000 },
} as const satisfies Record<string, MeasureSpec>
export type MeasureField = keyof typeof measureFields

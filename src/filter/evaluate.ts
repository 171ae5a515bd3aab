import { bits4, bits6, type Network, unmapped } from './address.js'
import { aspectOf, type Expression, type Folded, type MeasureTerm, type Test } from './expression.js'
import { limitNames, type NameField, type NumberField, originNames, stateNames } from './field.js'
import { fold } from './fold.js'
import { matchesGlob, readGlob } from './glob.js'
import type { RangeSet } from './range.js'

/**
 * A connection and the process that uses it. What is unknown is absent: a condition on it is false and its negation true. The same holds for all
 * conditions on the process where the kernel itself moved the bytes.
 */
export interface Subject {
  readonly family?: 4 | 6 | undefined
  /** In any notation; IPv4-mapped is IPv4. */
  readonly laddr?: string | undefined
  readonly raddr?: string | undefined
  readonly lport?: number | undefined
  readonly rport?: number | undefined
  readonly netns?: number | undefined
  readonly state?: (typeof stateNames)[number] | undefined
  readonly origin?: (typeof originNames)[number] | undefined
  readonly isKernel?: boolean | undefined
  readonly pid?: number | undefined
  readonly comm?: string | undefined
  /** The path below the mount of cgroup v2. */
  readonly cgroup?: string | undefined
  /** The effective one. */
  readonly uid?: number | undefined
  readonly mntns?: number | undefined
  /** Bytes a second. */
  readonly rx?: number | undefined
  readonly tx?: number | undefined
  /** Seconds. */
  readonly rtt?: number | undefined
  /** The share of the bytes sent that were sent again. */
  readonly retrans?: number | undefined
  readonly limit?: (typeof limitNames)[number] | undefined
}

export type Matcher = (subject: Subject) => boolean

const indexIn = (names: readonly string[], name: string | undefined) => name === undefined ? undefined : names.indexOf(name) + 1

const numberOf: Record<Exclude<NumberField, 'port'>, (subject: Subject) => number | undefined> = {
  sport: ({ lport }) => lport,
  dport: ({ rport }) => rport,
  pid: ({ pid }) => pid,
  uid: ({ uid }) => uid,
  netns: ({ netns }) => netns,
  mntns: ({ mntns }) => mntns,
  family: ({ family }) => family,
  state: ({ state }) => indexIn(stateNames, state),
  origin: ({ origin }) => indexIn(originNames, origin),
  limit: ({ limit }) => indexIn(limitNames, limit),
}

const nameOf: Record<NameField, (subject: Subject) => string | undefined> = { comm: ({ comm }) => comm, cgroup: ({ cgroup }) => cgroup }

/** Compiles a filter into a function that is called for each row: whether the row passes. */
export function matcher(filter: Expression): Matcher {
  return compile(fold(filter))
}

function compile(filter: Folded): Matcher {
  switch (filter.kind) {
    case 'constant':
      return () => filter.value
    case 'not': {
      const inside = compile(filter.of)
      return subject => !inside(subject)
    }
    case 'and': {
      const parts = filter.parts.map(compile)
      return subject => {
        for (const part of parts) if (!part(subject)) return false
        return true
      }
    }
    case 'or': {
      const parts = filter.parts.map(compile)
      return subject => {
        for (const part of parts) if (part(subject)) return true
        return false
      }
    }
    default: {
      const test = compileTest(filter)
      return aspectOf(filter) === 'process' ? subject => subject.isKernel !== true && test(subject) : test
    }
  }
}

function compileTest(test: Test): Matcher {
  switch (test.kind) {
    case 'number': {
      const [of, contains] = [numberOf[test.field], inRanges(test.ranges)]
      return subject => {
        const value = of(subject)
        return value !== undefined && contains(value)
      }
    }
    case 'address': {
      const contains = inNetworks(test.networks)
      return test.field === 'src' ? ({ laddr }) => laddr !== undefined && contains(laddr) : ({ raddr }) => raddr !== undefined && contains(raddr)
    }
    case 'name': {
      const [of, matches] = [nameOf[test.field], test.field === 'cgroup' ? inCgroups(test.operator, test.names) : named(test.operator, test.names)]
      return subject => {
        const name = of(subject)
        return name !== undefined && matches(name)
      }
    }
    case 'measure': {
      const { field } = test
      const compares = comparison(test)
      return subject => {
        const value = subject[field]
        return value !== undefined && compares(value)
      }
    }
  }
}

/** A binary search. */
function inRanges(ranges: RangeSet): (value: number) => boolean {
  const [only, more] = ranges
  if (only !== undefined && more === undefined) return value => value >= only.from && value <= only.to
  return value => {
    let [low, high] = [0, ranges.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (ranges[middle]!.to < value) low = middle + 1
      else high = middle
    }
    return low < ranges.length && ranges[low]!.from <= value
  }
}

/** One look-up for each prefix length among the networks. */
function inNetworks(networks: readonly Network[]): (address: string) => boolean {
  const ipv4 = new Map<number, Set<number>>()
  const ipv6 = new Map<bigint, Set<bigint>>()
  for (const network of networks) {
    if (network.family === 4) setAt(ipv4, 2 ** (32 - network.length)).add(network.bits)
    else setAt(ipv6, BigInt(128 - network.length)).add(network.bits >> BigInt(128 - network.length))
  }
  const has4 = (bits: number) => {
    for (const [size, starts] of ipv4) if (starts.has(bits - bits % size)) return true
    return false
  }
  return address => {
    const bits = bits4(address)
    if (bits >= 0) return has4(bits)
    const long = bits6(address)
    if (long === undefined) return false
    const inside = unmapped(long)
    if (inside !== undefined) return has4(inside)
    for (const [shift, prefixes] of ipv6) if (prefixes.has(long >> shift)) return true
    return false
  }
}

function setAt<Key, Item>(sets: Map<Key, Set<Item>>, key: Key): Set<Item> {
  const set = sets.get(key) ?? new Set()
  sets.set(key, set)
  return set
}

function named(operator: '=' | '~', names: readonly string[]): (name: string) => boolean {
  if (operator === '=') {
    const set = new Set(names)
    return name => set.has(name)
  }
  const globs = names.map(name => readGlob(name)!)
  return name => globs.some(glob => matchesGlob(glob, name))
}

/** The path is one of these or below one. Those without a leading `/` may begin at any component; the root's only component is empty. */
function inCgroups(operator: '=' | '~', paths: readonly string[]): (path: string) => boolean {
  const closed = paths.map(path => path === '/' ? path : `${path}/`)
  const isIn = operator === '~' ? named('~', closed.map(path => `${path.startsWith('/') ? '' : '*/'}${path}*`))
    : (path: string) => closed.some(wanted => wanted.startsWith('/') ? path.startsWith(wanted) : path.includes(`/${wanted}`))
  return path => isIn(`${path}/`)
}

function comparison({ operator, value }: MeasureTerm<'=' | '<' | '>' | '<=' | '>='>): (measured: number) => boolean {
  switch (operator) {
    case '=':
      return measured => measured === value
    case '<':
      return measured => measured < value
    case '>':
      return measured => measured > value
    case '<=':
      return measured => measured <= value
    case '>=':
      return measured => measured >= value
  }
}

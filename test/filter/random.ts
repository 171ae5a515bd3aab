import { BlockList, isIPv4 } from 'node:net'
import type { Subject } from '../../src/filter/index.js'
import type { Random } from '../kit/random.js'

/** A filter as somebody may write it, and what it means, found without any of the code under test. */
export interface Sample {
  readonly text: string
  readonly holds: (subject: Subject) => boolean
  /** How it is joined inside: undefined where that needs no parentheses. */
  readonly joint?: 'and' | 'or'
}

/** Few values, so that conditions hold as often as not; two that touch, and the limits. */
const ports = [0, 22, 80, 443, 444, 8000, 8080, 65_535]
const addresses = [
  '127.0.0.1', '127.255.0.1', '10.0.0.1', '10.0.0.2', '10.1.0.1', '11.0.0.1', '0.0.0.0', '255.255.255.255',
  '::1', '::', 'fe80::1', 'fe80::2', '2001:db8::1', '2001:db8:8000::1', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '::fffe:0:1',
]
const networks = [
  '10.0.0.0/8', '10.0.0.0/15', '10.1.0.0/16', '10.0.0.1/32', '0.0.0.0/0', '128.0.0.0/1', '127.0.0.0/8', '10.0.0.2/31',
  '::/0', 'fe80::/10', '2001:db8::/32', '2001:db8:8000::/33', '::1/128', '8000::/1', '::/96',
]
const numbers = { pid: [0, 1, 2, 3, 4_194_304], uid: [0, 1000, 1001, 4_294_967_295], netns: [4_026_531_840, 4_026_531_841], mntns: [1, 4_026_531_840] }
const names = ['nginx', 'nginx: worker', 'redis', "it's", 'and', 'né', '日本', '(sd-pam)', '#x', 'a*', '[b]', 'x\\y']
const paths = ['/', '/a', '/a/b', '/ab', '/a/b/c', '/b', '/system.slice/nginx.service', '/user.slice/user-0.slice']
const globs = ['*', 'n*', '*n*', '?????', 'nginx*', '*e*', '[a-n]*', '[!n]*', 'redis', '*b', '[日né]*', '/a*', 'a', 'b*', '*.service']
const states = [
  'established', 'syn-sent', 'syn-recv', 'fin-wait-1', 'fin-wait-2', 'time-wait', 'closed', 'close-wait', 'last-ack', 'listening', 'closing',
] as const
/** How man ss(8) defines them. */
const groups: Readonly<Record<string, (state: string) => boolean>> = {
  all: () => true,
  connected: state => state !== 'listening' && state !== 'closed',
  synchronized: state => state !== 'listening' && state !== 'closed' && state !== 'syn-sent',
  bucket: state => state === 'time-wait' || state === 'syn-recv',
  big: state => state !== 'time-wait' && state !== 'syn-recv',
}

/** As somebody writes them, and what they are. */
const rates = [['0', 0], ['1000', 1000], ['1k', 1000], ['1.5kB', 1500], ['1KiB/s', 1024], ['1Mbit/s', 125_000], ['1M', 1_000_000], ['.5G', 500_000_000]] as const
const times = [['0us', 0], ['200us', 0.0002], ['0.2ms', 0.0002], ['50ms', 0.05], ['1s', 1], ['.05s', 0.05]] as const
const shares = [['0%', 0], ['1%', 0.01], ['12.5%', 0.125], ['100%', 1]] as const
const limits = ['app', 'peer', 'sndbuf', 'net', 'loss', 'reader'] as const

function maybe<Item>(random: Random, item: Item): Item | undefined {
  return random.chance(0.05) ? undefined : item
}

/** A connection, of which something may be unknown. */
export function randomSubject(random: Random): Subject {
  const of4 = random.chance(0.6)
  const ofFamily = addresses.filter(address => isIPv4(address) === of4)
  const address = () => {
    const text = random.pick(ofFamily)
    return of4 && random.chance(0.2) ? `::ffff:${text}` : text
  }
  return {
    family: maybe(random, of4 ? 4 : 6), laddr: maybe(random, address()), raddr: maybe(random, address()),
    lport: maybe(random, random.pick(ports)), rport: maybe(random, random.pick(ports)),
    netns: maybe(random, random.pick(numbers.netns)), mntns: maybe(random, random.pick(numbers.mntns)),
    pid: maybe(random, random.pick(numbers.pid)), uid: maybe(random, random.pick(numbers.uid)),
    comm: maybe(random, random.pick(names)), cgroup: maybe(random, random.pick(paths)),
    state: maybe(random, random.pick(states)), origin: maybe(random, random.pick(['accepted', 'opened'] as const)),
    isKernel: maybe(random, random.chance(0.15)),
    rx: maybe(random, random.pick(rates)[1]), tx: maybe(random, random.pick(rates)[1]),
    rtt: maybe(random, random.pick(times)[1]), retrans: maybe(random, random.pick(shares)[1]), limit: maybe(random, random.pick(limits)),
  }
}

const aliases = {
  '=': ['=', '==', 'eq'], '!=': ['!=', 'ne', 'neq'], '<': ['<', 'lt'], '>': ['>', 'gt'], '<=': ['<=', 'le', 'leq'], '>=': ['>=', 'ge', 'geq'],
} as const
type Comparison = keyof typeof aliases

/** An operator in one of its forms, with or without blanks where signs need none; nothing for `=`, at times. */
function operatorText(random: Random, operator: Comparison): string {
  const text = random.pick(aliases[operator])
  if (operator === '=' && random.chance(0.3)) return ' '
  return /[a-z]/.test(text) || random.chance(0.5) ? ` ${text} ` : text
}

function several<Item>(random: Random, make: () => Item): readonly Item[] {
  return Array.from({ length: random.pick([1, 1, 1, 2, 3, 5]) }, make)
}

const comma = (random: Random) => random.pick([',', ', ', ' , '])

function numeric(random: Random, field: string, values: readonly number[], of: (subject: Subject) => readonly (number | undefined)[], prefix = ''): Sample {
  const operator = random.pick(Object.keys(aliases) as Comparison[])
  if (operator === '=' || operator === '!=') {
    const ranges = several(random, () => {
      const [one, other] = [random.pick(values), random.chance(0.3) ? random.pick(values) : undefined]
      return [Math.min(one, other ?? one), Math.max(one, other ?? one)] as const
    })
    const rangeText = (from: number, to: number) => from === to && random.chance(0.8) ? from : `${from}-${to}`
    const text = ranges.map(([from, to]) => `${random.chance(0.3) ? prefix : ''}${rangeText(from, to)}`).join(comma(random))
    const isOne = (subject: Subject) => of(subject).some(value => value !== undefined && ranges.some(([from, to]) => from <= value && value <= to))
    return { text: `${field}${operatorText(random, operator)}${text}`, holds: subject => isOne(subject) === (operator === '=') }
  }
  const limit = random.pick(values)
  const compare = (value: number) => ({ '<': value < limit, '>': value > limit, '<=': value <= limit, '>=': value >= limit })[operator]
  return {
    text: `${field}${operatorText(random, operator)}${limit}`,
    holds: subject => of(subject).some(value => value !== undefined && compare(value)),
  }
}

function inNetwork(network: string, address: string): boolean {
  const [start = '', length] = network.split('/')
  const list = new BlockList()
  const plain = address.replace(/^::ffff:(?=\d+\.)/, '')
  list.addSubnet(start, Number(length), isIPv4(start) ? 'ipv4' : 'ipv6')
  return isIPv4(start) === isIPv4(plain) && list.check(plain, isIPv4(plain) ? 'ipv4' : 'ipv6')
}

function addressed(random: Random): Sample {
  const field = random.pick(['src', 'dst', 'host'])
  const operator = random.pick(['=', '!='] as const)
  const places = several(random, () => {
    const isNetwork = random.chance(0.5)
    const address = isNetwork ? random.pick(networks) : random.pick(addresses)
    const network = isNetwork ? address : `${address}/${isIPv4(address) ? 32 : 128}`
    const port = random.chance(0.2) ? random.pick(ports) : undefined
    const is4 = isIPv4(address.split('/')[0]!)
    const text = is4 ? random.pick(isNetwork ? [address] : [address, `::ffff:${address}`]) : address
    const closed = text.includes(':') && (port !== undefined || random.chance(0.3)) ? `[${text}]` : text
    return { text: `${closed}${port === undefined ? '' : `:${port}`}`, network, port }
  })
  const isAt = (address: string | undefined, port: number | undefined) => places.some(place => address !== undefined
    && inNetwork(place.network, address) && (place.port === undefined || place.port === port))
  return {
    text: `${field}${operatorText(random, operator)}${places.map(({ text }) => text).join(comma(random))}`,
    holds: ({ laddr, raddr, lport, rport }) =>
      ((field !== 'dst' && isAt(laddr, lport)) || (field !== 'src' && isAt(raddr, rport))) === (operator === '='),
  }
}

const quote = (random: Random, text: string) => random.chance(0.5) ? `'${text.replaceAll("'", "''")}'` : `"${text.replaceAll('"', '""')}"`

function globPattern(glob: string): string {
  return glob.replace(/[.*+?^${}()|\\/]/g, '\\$&').replace(/\\\*/g, '[^]*').replace(/\\\?/g, '[^]').replace(/\[!/g, '[^')
}

function processName(random: Random): Sample {
  const isGlob = random.chance(0.5)
  const isNegated = random.chance(0.4)
  const wanted = several(random, () => random.pick(isGlob ? globs : names))
  const matches = (name: string) => wanted.some(one => isGlob ? new RegExp(`^${globPattern(one)}$`, 'u').test(name) : one === name)
  return {
    text: `comm ${isNegated ? '!' : ''}${isGlob ? '~' : '='}${wanted.map(name => quote(random, name)).join(comma(random))}`,
    holds: ({ comm, isKernel }) => (isKernel !== true && comm !== undefined && matches(comm)) !== isNegated,
  }
}

function inCgroup(random: Random): Sample {
  const isGlob = random.chance(0.5)
  const isNegated = random.chance(0.4)
  const wanted = several(random, () => random.pick(isGlob ? globs : [...paths, 'b', 'a/b', 'nginx.service']))
  const above = (path: string) => path.split('/').map((_, index, parts) => parts.slice(0, index + 1).join('/') || '/')
  const relative = (path: string) => path.split('/').map((_, index, parts) => parts.slice(index).join('/')).slice(1)
  const matches = (path: string) => wanted.some(one => above(path).flatMap(name => one.startsWith('/') ? [name] : relative(name)).some(name =>
    isGlob ? new RegExp(`^${globPattern(one)}$`, 'u').test(name) : one === name))
  return {
    text: `cgroup ${isNegated ? '!' : ''}${isGlob ? '~' : '='} ${wanted.map(name => quote(random, name)).join(comma(random))}`,
    holds: ({ cgroup, isKernel }) => (isKernel !== true && cgroup !== undefined && matches(cgroup)) !== isNegated,
  }
}

function stated(random: Random): Sample {
  const isNegated = random.chance(0.3)
  const wanted = several(random, () => random.pick([...states, ...Object.keys(groups)]))
  return {
    text: `state${isNegated ? '!=' : random.pick([' ', '=', ' eq '])}${wanted.join(comma(random))}`,
    holds: ({ state }) => (state !== undefined && wanted.some(one => groups[one]?.(state) ?? one === state)) !== isNegated,
  }
}

function measured(random: Random): Sample {
  const field = random.pick(['rx', 'tx', 'rtt', 'retrans'] as const)
  const [valueText, limit] = random.pick<readonly [string, number]>(field === 'rtt' ? times : field === 'retrans' ? shares : rates)
  const operator = random.pick(Object.keys(aliases) as Comparison[])
  const compare = (value: number | undefined) => value === undefined ? operator === '!=' : ({
    '=': value === limit, '!=': value !== limit, '<': value < limit, '>': value > limit, '<=': value <= limit, '>=': value >= limit,
  })[operator]
  return { text: `${field}${operatorText(random, operator)}${valueText}`, holds: subject => compare(subject[field]) }
}

function limited(random: Random): Sample {
  const isNegated = random.chance(0.3)
  const wanted = several(random, () => random.pick(limits))
  return {
    text: `limit${isNegated ? '!=' : random.pick([' ', '='])}${wanted.join(comma(random))}`,
    holds: ({ limit }) => (limit !== undefined && wanted.includes(limit)) !== isNegated,
  }
}

const ofProcess = (field: 'pid' | 'uid' | 'mntns') => (subject: Subject) => [subject.isKernel === true ? undefined : subject[field]]

function condition(random: Random): Sample {
  const isLoopback = (address: string | undefined) => address !== undefined && (inNetwork('127.0.0.0/8', address) || address === '::1')
  return random.pick([
    () => numeric(random, 'sport', ports, ({ lport }) => [lport], ':'),
    () => numeric(random, 'dport', ports, ({ rport }) => [rport], ':'),
    () => numeric(random, 'port', ports, ({ lport, rport }) => [lport, rport], ':'),
    () => numeric(random, 'pid', numbers.pid, ofProcess('pid')),
    () => numeric(random, 'uid', numbers.uid, ofProcess('uid')),
    () => numeric(random, 'mntns', numbers.mntns, ofProcess('mntns')),
    () => numeric(random, 'netns', numbers.netns, ({ netns }) => [netns]),
    () => addressed(random),
    () => addressed(random),
    () => processName(random),
    () => inCgroup(random),
    () => stated(random),
    () => measured(random),
    () => limited(random),
    (): Sample => ({ text: 'family 4', holds: ({ family }) => family === 4 }),
    (): Sample => ({ text: 'ip6', holds: ({ family }) => family === 6 }),
    (): Sample => ({ text: 'accepted', holds: ({ origin }) => origin === 'accepted' }),
    (): Sample => ({ text: 'opened', holds: ({ origin }) => origin === 'opened' }),
    (): Sample => ({ text: 'loopback', holds: ({ laddr, raddr }) => isLoopback(laddr) || isLoopback(raddr) }),
    (): Sample => ({ text: random.pick(['tcp', 'dst *', 'sport = *']), holds: () => true }),
  ])()
}

/** A filter with so many levels of `and`, `or` and `not` at most. */
export function randomFilter(random: Random, depth: number): Sample {
  if (depth === 0 || random.chance(0.2)) return condition(random)
  const closed = ({ text, joint }: Sample) => joint !== undefined || random.chance(0.1) ? random.pick([`(${text})`, `( ${text} )`]) : text
  if (random.chance(0.2)) {
    const { holds, ...inside } = randomFilter(random, depth - 1)
    return { text: `${random.pick(['not ', '!', '! '])}${closed({ holds, ...inside })}`, holds: subject => !holds(subject) }
  }
  const joint = random.pick(['and', 'or'] as const)
  const parts = Array.from({ length: 2 + random.below(3) }, () => randomFilter(random, depth - 1))
  const joints = joint === 'or' ? [' or ', ' | ', '||', '\nor '] : [' and ', ' & ', '&&', ' ', ' # and\n']
  // Two states with nothing between are refused.
  const isState = ({ text, joint }: Sample) => joint === undefined && text.startsWith('state')
  const text = parts.map((part, index) => {
    const isNextToState = index > 0 && isState(part) && isState(parts[index - 1]!)
    return `${index === 0 ? '' : random.pick(joints)}${isNextToState && joint === 'and' ? `not (not ${part.text})` : closed(part)}`
  }).join('')
  return { text, holds: subject => joint === 'and' ? parts.every(({ holds }) => holds(subject)) : parts.some(({ holds }) => holds(subject)), joint }
}

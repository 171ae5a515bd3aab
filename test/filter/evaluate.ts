import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Folded, fold, matcher, parse, print, type Subject } from '../../src/filter/index.js'
import { Random } from '../kit/random.js'
import { randomFilter, randomSubject } from './random.js'

const portOf = (name: string) => name === 'ssh' ? 22 : undefined
const read = (text: string) => parse(text, { portOf, screen: true })

const nginx: Subject = {
  family: 4, laddr: '10.0.0.1', lport: 443, raddr: '192.0.2.7', rport: 50_000, pid: 181, comm: 'nginx', cgroup: '/system.slice/docker-4f0a.scope/worker',
  uid: 33, netns: 4_026_531_840, mntns: 4_026_531_841, state: 'established', origin: 'accepted', rx: 2_000_000, tx: 10, rtt: 0.05, retrans: 0.02, limit: 'peer',
}
const ssh: Subject = {
  family: 6, laddr: '2001:db8::1', lport: 50_001, raddr: '2001:db8::2', rport: 22, pid: 7, comm: 'ssh', cgroup: '/user.slice', uid: 1000, origin: 'opened',
  state: 'fin-wait-1',
}
const local: Subject = { family: 4, laddr: '::ffff:127.0.0.1', lport: 5432, raddr: '127.0.0.1', rport: 40_000, pid: 9, comm: 'postgres', origin: 'accepted' }
const kernel: Subject = { family: 4, laddr: '10.0.0.1', lport: 2049, raddr: '10.0.0.9', rport: 700, isKernel: true, pid: 0, comm: 'kernel', uid: 0 }
const subjects = { nginx, ssh, local, kernel }

const cases: readonly (readonly [text: string, ...passing: readonly (keyof typeof subjects)[]])[] = [
  // What people type: port, host, network, process, container, not loopback, only accepted, two ports of a service, all but ssh.
  ['port 443', 'nginx'],
  ['host 192.0.2.7', 'nginx'],
  ['net 10.0.0.0/8', 'nginx', 'kernel'],
  ['dst 10/8', 'kernel'],
  ['comm = nginx', 'nginx'],
  ['cgroup = /system.slice/docker-4f0a.scope', 'nginx'],
  ['cgroup ~ docker-4f0a*', 'nginx'],
  ['not loopback', 'nginx', 'ssh', 'kernel'],
  ['accepted', 'nginx', 'local'],
  ['sport = :5432 or sport = :6432', 'local'],
  ['sport = 443,8443', 'nginx'],
  ['not port ssh', 'nginx', 'local', 'kernel'],
  // From the text.
  ['dport = :443 and not dst 10.0.0.0/8'],
  ['dport > 1024 and not dst 10.0.0.0/8', 'nginx', 'local'],
  ['dport = 22,443,40000-50000', 'nginx', 'ssh', 'local'],
  ['state established', 'nginx'],
  ['state synchronized', 'nginx', 'ssh'],
  // IPv4-mapped is IPv4, whichever of both is written.
  ['src 127.0.0.1', 'local'],
  ['src [::ffff:127.0.0.1]', 'local'],
  ['dst ::ffff:127.0.0.0/104', 'local'],
  ['dst ::/0', 'ssh'],
  ['dst 0.0.0.0/0', 'nginx', 'local', 'kernel'],
  // != is not =, so of either end it is about both.
  ['port != 443', 'ssh', 'local', 'kernel'],
  ['host != 10.0.0.1', 'ssh', 'local'],
  ['port < 100', 'ssh'],
  ['not port < 100', 'nginx', 'local', 'kernel'],
  // Address and port behind it are of one end.
  ['host 10.0.0.1:443', 'nginx'],
  ['host 10.0.0.1:50000'],
  // Conditions on the process are false for the kernel's rows, and where the value is not known; negations are true.
  ['pid = 0'],
  ['pid >= 0', 'nginx', 'ssh', 'local'],
  ['not pid >= 0', 'kernel'],
  ['comm = kernel'],
  ['comm != nginx', 'ssh', 'local', 'kernel'],
  ['comm !~ *s*', 'nginx', 'kernel'],
  ['uid = 0'],
  ['uid < 100', 'nginx'],
  ['not uid < 100', 'ssh', 'local', 'kernel'],
  ['uid >= 100', 'ssh'],
  ['mntns != 4026531841', 'ssh', 'local', 'kernel'],
  ['cgroup /', 'nginx', 'ssh'],
  ['opened', 'ssh'],
  ['not accepted', 'ssh', 'kernel'],
  ['origin != opened', 'nginx', 'local', 'kernel'],
  // A cgroup and what is below; without a slash it may begin anywhere.
  ['cgroup /system.slice', 'nginx'],
  ['cgroup /system'],
  ['cgroup docker-4f0a.scope', 'nginx'],
  ['cgroup slice'],
  ['cgroup ~ /user*', 'ssh'],
  ['cgroup ~ *.slice', 'nginx', 'ssh'],
  // On the screen.
  ['rx > 1M', 'nginx'],
  ['rx > 2M'],
  ['rx >= 2M', 'nginx'],
  ['rx <= 2M', 'nginx'],
  ['tx = 10', 'nginx'],
  ['tx != 10', 'ssh', 'local', 'kernel'],
  ['tx < 11B/s', 'nginx'],
  ['rtt >= 50ms', 'nginx'],
  ['rtt > 50ms'],
  ['not rtt > 50ms', 'nginx', 'ssh', 'local', 'kernel'],
  ['retrans > 1%', 'nginx'],
  ['retrans > 2%'],
  ['limit = peer,net', 'nginx'],
]

for (const [text, ...passing] of cases) {
  test(`${text}: ${passing.join(', ') || 'none'}`, () => {
    const passes = matcher(read(text))
    assert.equal(Object.entries(subjects).filter(([, subject]) => passes(subject)).map(([name]) => name), passing)
  })
}

test('the normal form of a filter is as described', () => {
  for (const [text, folded] of [
    ['port 80,443', 'sport = 80,443 or dport = 80,443'],
    ['not port 80,443', 'not sport = 80,443 and not dport = 80,443'],
    ['port 80 or port 443', 'sport = 80,443 or dport = 80,443'],
    ['port != 80', 'not sport = 80 and not dport = 80'],
    ['dport = 5,1,2-3,3', 'dport = 1-3,5'],
    ['dport 1-10 and dport 5-20', 'dport = 5-10'],
    ['dport 1-10 and not dport 5', 'dport = 1-4,6-10'],
    ['not dport 1-10 and not dport 5-20', 'not dport = 1-20'],
    ['dport 5 or not dport 1-10', 'not dport = 1-4,6-10'],
    ['dport 5 or not dport 5', 'tcp'],
    ['dport 5 and dport 6', 'not tcp'],
    ['dport 5 and not dport 5', 'not tcp'],
    ['dport < 5', 'dport = 0-4'],
    ['dport >= 5', 'dport = 5-65535'],
    ['dport > 65535', 'not tcp'],
    ['not dport > 65535', 'tcp'],
    ['pid != 1', 'not pid = 1'],
    ['pid 1 and (uid 1 or pid 1)', 'pid = 1 and (uid = 1 or pid = 1)'],
    ['state established or state listen', 'state = established,listening'],
    ['state connected and not state big', 'state = syn-recv,time-wait'],
    ['accepted and opened', 'not tcp'],
    ['accepted or opened', 'origin = accepted,opened'],
    ['ip and ip6', 'not tcp'],
    ['net 10.0.0.0/9,10.128.0.0/9', 'src = 10.0.0.0/8 or dst = 10.0.0.0/8'],
    ['dst 10.1.0.0/16,10/8,::1,10.0.0.1', 'dst = 10.0.0.0/8,::1'],
    ['dst 10.0.0.0 or dst 10.0.0.1 or dst 10.0.0.2 or dst 10.0.0.3', 'dst = 10.0.0.0/30'],
    ['not dst 10.0.0.0 and not dst 10.0.0.1', 'not dst = 10.0.0.0/31'],
    ['dst 0.0.0.0/1,128.0.0.0/1', 'dst = 0.0.0.0/0'],
    ['dst ::/1,8000::/1', 'dst = ::/0'],
    ['not loopback', 'not src = 127.0.0.0/8,::1 and not dst = 127.0.0.0/8,::1'],
    ['comm b,a,b or comm c', 'comm = a,b,c'],
    ['not comm a and comm != b', 'not comm = a,b'],
    ['comm a and comm b', 'comm = a and comm = b'],
    ['comm ~ a* or comm ~ b* or comm c', 'comm ~ a*,b* or comm = c'],
    ['(loopback and tcp) or (pid 1 and not tcp)', 'src = 127.0.0.0/8,::1 or dst = 127.0.0.0/8,::1'],
    ['pid 1 and (uid 2 and (comm a and pid 1))', 'pid = 1 and uid = 2 and comm = a'],
    ['not (pid 1 or not (uid 1 and not comm a))', 'not pid = 1 and uid = 1 and not comm = a'],
    ['(pid 1 or uid 1) and not (pid 1 or uid 1)', '(pid = 1 or uid = 1) and not pid = 1 and not uid = 1'],
    ['dst * or pid 1', 'tcp'],
    ['dst * and pid 1', 'pid = 1'],
    ['rx > 1M or rx > 1M', 'rx > 1MB/s'],
    ['rx > 1M or not rx > 1M', 'tcp'],
  ] as const) assert.is(print(fold(read(text))), folded, text)
})

/** What is wrong with the shape of a normal form. */
function malformed(folded: Folded, inside?: 'and' | 'or' | 'not'): string | undefined {
  switch (folded.kind) {
    case 'constant':
      return inside === undefined ? undefined : 'a constant inside'
    case 'not':
      return ['constant', 'not', 'and', 'or'].includes(folded.of.kind) ? `not around ${folded.of.kind}` : malformed(folded.of, 'not')
    case 'and':
    case 'or':
      if (folded.kind === inside) return `${inside} in ${inside}`
      if (folded.parts.length < 2) return 'a part alone'
      return folded.parts.map(part => malformed(part, folded.kind as 'and' | 'or')).find(wrong => wrong !== undefined)
    case 'number':
      return folded.ranges.length > 0 && folded.ranges.every(({ from, to }, index) => from <= to && (index === 0 || from > folded.ranges[index - 1]!.to + 1))
        ? undefined : 'ranges are no set'
    case 'address':
      return folded.networks.length > 0 ? undefined : 'no network'
    default:
      return undefined
  }
}

test('random filters mean what another evaluation says, and survive printing and folding', () => {
  const random = new Random()
  let held = 0
  const turns = 3000
  random.repeat(turns, () => {
    const { text, holds } = randomFilter(random, random.below(4))
    const note = JSON.stringify(text)
    const expression = read(text)
    const folded = fold(expression)
    assert.equal(read(print(expression)), expression, `${note} is printed as ${print(expression)}`)
    assert.equal(fold(read(print(folded))), folded, `${note} is folded to ${print(folded)}`)
    assert.equal(fold(folded), folded, note)
    assert.is(malformed(folded), undefined, `${note} is folded to ${print(folded)}`)
    const passes = matcher(expression)
    for (let index = 0; index < 20; index++) {
      const subject = randomSubject(random)
      const expected = holds(subject)
      if (expected) held++
      assert.is(passes(subject), expected, `${note}, folded to ${print(folded)}, of ${JSON.stringify(subject)}`)
    }
  })
  // A generator whose filters hold always or never would prove nothing.
  assert.ok(held > turns * 20 * 0.2 && held < turns * 20 * 0.8, `${held} of ${turns * 20} hold (SEED=${random.seed})`)
})

test('random texts are understood or refused with a message of few printable lines', () => {
  const random = new Random()
  const pieces = [
    'port', 'dst', 'comm', 'state', 'and', 'or', 'not', '(', ')', '=', '!=', '<', '~', '!', ',', '80', '10/8', '[::1]:80', ':443', '::', '*', "'", '"', 'nginx',
    '[', ']', '/', '-', '#', '\n', '\t', '\u0000', '\u001b[2J', '\u202e', '\ud800', 'é', '日', 'rx', '1M', '%', 'connected', '',
  ]
  random.repeat(5000, () => {
    const text = Array.from({ length: random.below(12) }, () => random.pick(pieces) + random.pick([' ', '', ''])).join('')
    try {
      const expression = read(text)
      assert.equal(read(print(expression)), expression, JSON.stringify(text))
    } catch (error) {
      assert.is((error as Error).name, 'UsageError', `${JSON.stringify(text)}: ${(error as Error).stack}`)
      const lines = (error as Error).message.split('\n')
      assert.ok(lines.length <= (/are mixed/.test(lines[0]!) ? 5 : 3), JSON.stringify(text))
      assert.match(lines[2]!, /^ *\^$/)
      assert.not.match((error as Error).message.replaceAll('\n', ''), /\p{C}/u, JSON.stringify(text))
    }
  })
})

test('thousands of terms are understood, folded and evaluated in time that grows with their number', () => {
  const many = Array.from({ length: 20_000 }, (_, index) => `dst = 10.${index >> 8}.${index & 255}.7:${index % 60_000}`)
  const passes = matcher(read(`comm = x or (${many.join(' or ')})`))
  assert.ok(passes({ raddr: '10.1.1.7', rport: 257 }))
  assert.not(passes({ raddr: '10.1.1.7', rport: 258 }))
  const list = matcher(read(`dst = ${Array.from({ length: 50_000 }, (_, index) => `10.${index >> 8}.${index & 255}.7`).join()}`))
  assert.ok(list({ raddr: '10.1.1.7' }))
  assert.not(list({ raddr: '10.1.1.8' }))
})

test.run()

import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { fold, matcher, parse, print, type Subject } from '../../src/filter/index.js'
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

test('random filters mean what another evaluation says', () => {
  const random = new Random()
  let held = 0
  const turns = 3000
  random.repeat(turns, () => {
    const { text, holds } = randomFilter(random, random.below(4))
    const expression = read(text)
    const passes = matcher(expression)
    for (let index = 0; index < 20; index++) {
      const subject = randomSubject(random)
      const expected = holds(subject)
      if (expected) held++
      assert.is(passes(subject), expected, `${JSON.stringify(text)}, folded to ${print(fold(expression))}, of ${JSON.stringify(subject)}`)
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

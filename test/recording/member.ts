import { spawnSync } from 'node:child_process'
import { gunzipSync } from 'node:zlib'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Shown as Frame } from '../../src/frame/index.js'
import { Damage, headOf, headSize, MemberWriter, nextHead, readMember, UnknownVersion } from '../../src/recording/member.js'
import { Random } from '../kit/random.js'
import { forge } from './forge.js'
import { plain, randomFrame, rounded } from './frame.js'
import { frames, run, Traffic } from './traffic.js'

const start = new Date('2026-02-03T04:05:06.789Z')

function memberOf(some: Iterable<Frame>, previous: number | null = null): Buffer {
  const writer = new MemberWriter(run)
  for (const frame of some) writer.add(frame)
  return writer.take(previous)
}

test('frames read back as they were, with everything that they have', () => {
  const random = new Random()
  random.repeat(200, () => {
    const some = Array.from({ length: 1 + random.below(5) }, (_, index) => randomFrame(random, new Date(start.getTime() + 1000 * index)))
    const member = readMember(memberOf(some, 4711))
    assert.is(member.previous, 4711)
    const read = [...member.frames()]
    assert.equal(read.map(plain), some.map(rounded))
    assert.equal(read[0]!.origin, run)
  })
})

test('fields that are not known here are kept, of rows, frames and costs', () => {
  const health = { state: 'established', rtt: 0.00021, limit: null }
  const frame = {
    ...new Traffic(1).frame(start), stalled: 2,
    rows: [{ comm: 'x', netns: 4026531840, start: '123456789012345678', rx: 1, tx: 2, health }, { comm: 'y', rx: 1, tx: 2, retrans: 5 }],
  }
  const [read] = [...readMember(memberOf([frame])).frames()].map(plain)
  assert.equal(read, rounded(frame))
})

test('the head says how long a member is, how many frames it has and of when they are', () => {
  const bytes = memberOf(frames(new Traffic(3), start, 5))
  const expected = { length: bytes.length, frames: 5, earliest: start.getTime() + 1000, latest: start.getTime() + 5000 }
  assert.equal(headOf(bytes), expected)
  assert.equal(headOf(Buffer.concat([bytes, Buffer.from('more')])), expected)
})

test('the beginning of a head may be one, and anything else is none', () => {
  const bytes = memberOf(frames(new Traffic(3), start, 1))
  for (let length = 0; length < headSize; length++) assert.is(headOf(bytes.subarray(0, length))?.length, Infinity)
  for (let at = 0; at < headSize; at++) {
    const other = Buffer.from(bytes)
    other[at]! ^= 1
    assert.is(headOf(other), undefined, `byte ${at}`)
  }
})

test('a head is found behind other bytes', () => {
  const bytes = memberOf(frames(new Traffic(3), start, 1))
  const noise = Buffer.from([0x1f, 0x8b, 8, 4, 0x1f, 0x8b, 8])
  assert.is(nextHead(Buffer.concat([noise, bytes]), 0), noise.length)
  assert.is(nextHead(Buffer.concat([noise, bytes]), noise.length + 1), -1)
})

test('a member is full after 60 frames, after a minute, or when the clock was set back', () => {
  const framesUntilFull = (every: number) => {
    const writer = new MemberWriter(run)
    for (const frame of frames(new Traffic(1), start, 1000, every)) {
      writer.add(frame)
      if (writer.isFull) return writer.frames
    }
    return undefined
  }
  assert.is(framesUntilFull(0.1), 60)
  assert.is(framesUntilFull(1), 60)
  assert.is(framesUntilFull(10), 6)
  assert.is(framesUntilFull(300), 1)
  const writer = new MemberWriter(run)
  writer.add(new Traffic(1).frame(start))
  assert.not(writer.isFull)
  writer.add(new Traffic(1).frame(new Date(start.getTime() - 1)))
  assert.ok(writer.isFull)
})

test('a member of very many rows is full before it has 60 frames', () => {
  const writer = new MemberWriter(run)
  const traffic = new Traffic(20_000)
  for (let index = 0; !writer.isFull; index++) writer.add(traffic.frame(new Date(start.getTime() + 1000 * index)))
  assert.ok(writer.frames < 20, `${writer.frames} frames`)
})

test('an identity is written once in a member', () => {
  const frame = new Traffic(5).frame(start)
  const text = gunzipSync(memberOf([frame, frame, frame])).toString()
  assert.is(text.split(frame.rows[0]!.raddr!).length, 2)
})

test('no line can drive a terminal', () => {
  const frame = { ...new Traffic(1).frame(start), rows: [{ comm: '\x1b[31m\u202e', cgroup: '/\x9b', rx: 1, tx: 2 }] }
  assert.match(gunzipSync(memberOf([frame])).toString(), /^[\x20-\x7e\n]*$/)
})

test('a byte that is changed is noticed, or changes nothing', () => {
  const bytes = memberOf(frames(new Traffic(2), start, 2))
  const expected = [...readMember(bytes).frames()].map(plain)
  let unnoticed = 0
  for (let at = 0; at < bytes.length; at++) {
    const other = Buffer.from(bytes)
    other[at]! ^= 1 << at % 8
    try {
      assert.equal([...readMember(other).frames()].map(plain), expected, `byte ${at}`)
      unnoticed++
    } catch (error) {
      if (!(error instanceof Damage)) throw error
    }
  }
  // The last byte of the deflated text has bits that mean nothing.
  assert.ok(unnoticed <= 1, `${unnoticed} bytes`)
})

test('a later version is not guessed at', () => {
  const bytes = forge(memberOf(frames(new Traffic(2), start, 1)), text => text.replace('"recording":1', '"recording":2'))
  assert.throws(() => readMember(bytes), (error: Error) => error instanceof UnknownVersion && /version 2.*reads version 1/.test(error.message))
})

const lies: readonly (readonly [what: string, from: RegExp, to: string])[] = [
  ['an address that is none', /"10\.0\.0\.5"/, '"\\u001b[2J"'],
  ['a port that is a text', /,(\d+)\],\[/, ',"\\u001b[2J"],['],
  ['a negative sum', /"total":\{"rx":/, '"total":{"rx":-'],
  ['bytes that are no whole number', /"rows":\[\[0,/, '"rows":[[0,0.5'],
  ['a row of no identity', /"rows":\[\[0,/, '"rows":[[77,'],
  ['a value that hides the name', /"values":\["rx","tx"/, '"values":["rx","tx","comm"'],
  ['a time that is none', /"time":"2026/, '"time":"MMXXVI'],
  ['a cost that is a text', /"cpu":/, '"cpu":"x","cpus":'],
  ['a line that is no JSON', /"rows"/, 'rows'],
]
for (const [what, from, to] of lies) {
  test(`${what} is damage, however good the checksum`, () => {
    const bytes = memberOf(frames(new Traffic(3), start, 1))
    assert.is([...readMember(forge(bytes, text => text)).frames()].length, 1)
    const other = forge(bytes, text => {
      assert.match(text, from)
      return text.replace(from, to)
    })
    assert.throws(() => [...readMember(other).frames()], (error: Error) => error instanceof Damage)
  })
}

test('a load average cannot drive a terminal', () => {
  const bytes = forge(memberOf([{ ...new Traffic(1).frame(start), loadavg: 'LOAD' }]), text => text.replace('LOAD', '\\u001b[2J'))
  assert.is([...readMember(bytes).frames()][0]!.loadavg, '?[2J')
})

test("python3's gzip and json read what was written", () => {
  const random = new Random(7)
  const members = Array.from({ length: 3 }, (_, turn) =>
    Array.from({ length: 4 }, (_, index) => randomFrame(random, new Date(start.getTime() + 60_000 * turn + 1000 * index))))
  const script = `
import gzip, json, sys
members = {}
for line in gzip.GzipFile(fileobj=sys.stdin.buffer):
    line = json.loads(line)
    if "recording" in line:
        members[line["member"]] = line
        continue
    member = members[line["member"]]
    for number, rx, tx in line["rows"]:
        row = {name: value for name, value in zip(member["fields"], member["identities"][number]) if value is not None}
        print(json.dumps([line["time"], {**row, "rx": rx, "tx": tx}]))
`
  const { stdout, stderr, status } = spawnSync('python3', ['-c', script], { input: Buffer.concat(members.map(some => memberOf(some))), encoding: 'utf8' })
  assert.is(status, 0, stderr)
  const read = stdout.split('\n').slice(0, -1).map(line => JSON.parse(line) as unknown)
  assert.equal(read, members.flat().flatMap(({ time, rows }) => rows.map(row => [time.toISOString(), { ...row }])))
})

test.run()

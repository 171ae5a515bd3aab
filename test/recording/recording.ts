import { copyFileSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Cursor, Recording, type Span } from '../../src/recording/index.js'
import { MemberWriter } from '../../src/recording/member.js'
import { UsageError } from '../../src/usage-error.js'
import { Random } from '../kit/random.js'
import { forge } from './forge.js'
import { inFolder, plain, record, rounded } from './frame.js'
import { frames, run, Traffic } from './traffic.js'

const start = new Date('2026-02-03T04:00:00Z')
const at = (seconds: number) => new Date(start.getTime() + 1000 * seconds)
/** Three members and a part of one. */
const some = [...frames(new Traffic(3), start, 190)]

function read(path: string, span?: Span): { frames: ReturnType<typeof plain>[]; notes: string[] } {
  const notes: string[] = []
  const recording = Recording.open('FILE', path, note => notes.push(note))
  const frames = [...recording.frames(span)].map(plain)
  recording.close()
  return { frames, notes }
}

test('a recording reads back as what was recorded, without a note', () => inFolder(async folder => {
  const path = join(folder, 'x')
  assert.equal(await record(path, some), [])
  assert.equal(read(path), { frames: some.map(rounded), notes: [] })
}))

test('zcat reads it', () => inFolder(async folder => {
  const path = join(folder, 'x')
  await record(path, some)
  const { stdout, status } = spawnSync('zcat', [], { input: readFileSync(path), encoding: 'utf8', maxBuffer: 1 << 26 })
  assert.is(status, 0)
  assert.is(stdout.split('\n').length - 1, some.length + 4)
}))

test('what is recorded later is added', () => inFolder(async folder => {
  const path = join(folder, 'x')
  await record(path, some.slice(0, 70))
  assert.equal(await record(path, some.slice(70)), [])
  assert.equal(read(path).frames, some.map(rounded))
}))

test('cut at any byte of its last member, a recording has all members but that one, and one note', () => inFolder(async folder => {
  const [path, cut] = [join(folder, 'x'), join(folder, 'cut')]
  await record(path, some.slice(0, 120))
  const whole = readFileSync(path).length
  await record(path, some.slice(120, 123))
  const { length } = readFileSync(path)
  const expected = some.slice(0, 120).map(rounded)
  copyFileSync(path, cut)
  for (let end = length - 1; end >= whole; end--) {
    truncateSync(cut, end)
    const recording = read(cut)
    assert.is(recording.notes.length, end === whole ? 0 : 1, `cut at ${end}`)
    if (end > whole) assert.match(recording.notes[0]!, new RegExp(`${end - whole} bytes of .* are torn or damaged: what is whole is read`))
    assert.is(recording.frames.length, 120, `cut at ${end}`)
    if (end % 50 === 0) assert.equal(recording.frames, expected)
  }
}))

test('cut at any byte of its only member, a recording is empty, and one note says so', () => inFolder(async folder => {
  const path = join(folder, 'x')
  await record(path, some.slice(0, 2))
  for (let end = readFileSync(path).length - 1; end >= 0; end--) {
    truncateSync(path, end)
    const { frames, notes } = read(path)
    assert.is(frames.length, 0)
    assert.is(notes.length, 1)
    assert.match(notes[0]!, end === 0 ? /is empty/ : /torn/)
  }
}))

test('what is damaged in the middle is skipped, whatever it is, and one note says so', () => inFolder(async folder => {
  const [path, other] = [join(folder, 'x'), join(folder, 'y')]
  await record(path, some)
  const bytes = readFileSync(path)
  const second = bytes.indexOf(bytes.subarray(0, 4), 1)
  const random = new Random()
  random.repeat(100, turn => {
    const damaged = Buffer.from(bytes)
    const [from, length] = [second + (turn === 0 ? 0 : random.below(1500)), 1 + random.below(100)]
    for (let byte = from; byte < from + length; byte++) damaged[byte]! ^= 1 + random.below(255)
    writeFileSync(other, damaged)
    const { frames, notes } = read(other)
    const times = new Set(frames.map(({ time }) => time.getTime()))
    for (const [index, { time }] of some.entries()) assert.is(times.has(time.getTime()), index < 60 || index >= 120, `frame ${index}, ${length} bytes at ${from}`)
    assert.is(notes.length, 1)
  })
}))

test('a file that is no recording is a usage error', () => inFolder(folder => {
  const cases: readonly (readonly [name: string, contents: Buffer | undefined])[] = [
    ['text', Buffer.from('hello\n')], ['one', Buffer.from('x')], ['gzip', gzipSync('{}')], ['missing', undefined],
  ]
  for (const [name, contents] of cases) {
    const path = join(folder, name)
    if (contents !== undefined) writeFileSync(path, contents)
    assert.throws(() => read(path), (error: Error) => error instanceof UsageError && error.message.startsWith(`FILE must be a recording, got "${path}"`), name)
  }
  mkdirSync(join(folder, 'empty'))
  for (const path of [join(folder, 'empty'), '/dev/zero', '/dev/null']) assert.throws(() => read(path), (error: Error) => error instanceof UsageError, path)
  assert.is(spawnSync('mkfifo', [join(folder, 'pipe')]).status, 0)
  assert.throws(() => read(join(folder, 'pipe')), /FILE must be a regular file or a directory/)
}))

test('a directory is read in the order of its days, and nothing else in it is', () => inFolder(async folder => {
  const days = [...frames(new Traffic(2), new Date('2026-02-03T23:59:00Z'), 120)]
  await record(`${folder}/`, days)
  writeFileSync(join(folder, 'tcptop-notes.txt'), 'mine')
  writeFileSync(join(folder, 'tcptop-2026-13-99.jsonl.gz'), 'mine')
  assert.equal(read(folder), { frames: days.map(rounded), notes: [] })
}))

test('a span has the frames that end in it, and only members that have some are read', () => inFolder(async folder => {
  const path = join(folder, 'x')
  await record(path, some)
  const random = new Random()
  random.repeat(100, () => {
    const [after, until] = [at(random.below(400) / 2), at(random.below(400) / 2)]
    assert.equal(read(path, { after, until }).frames, some.filter(({ time }) => time > after && time <= until).map(rounded))
  })
  const damaged = readFileSync(path)
  damaged[60]! ^= 1
  writeFileSync(path, damaged)
  assert.equal(read(path, { after: at(60) }).notes, [])
  assert.is(read(path).notes.length, 1)
}))

test('a clock that was set back hides nothing', () => inFolder(async folder => {
  const path = join(folder, 'x')
  const back = [...frames(new Traffic(2), at(-1000), 100)]
  await record(path, [...some.slice(0, 90), ...back, ...some.slice(90)])
  assert.equal(read(path, { after: at(30), until: at(190) }).frames, some.slice(30).map(rounded))
  assert.equal(read(path, { after: at(-2000), until: at(-950) }).frames, back.slice(0, 50).map(rounded))
  const recording = Recording.open('FILE', path, assert.unreachable)
  assert.equal(recording.span, { begin: at(-999), end: at(190) })
  recording.close()
}))

test('a later version is a usage error, to read and to continue', () => inFolder(async folder => {
  const path = join(folder, 'x')
  const writer = new MemberWriter(run)
  writer.add(some[0]!)
  writeFileSync(path, forge(writer.take(null), text => text.replace('"recording":1', '"recording":9')))
  assert.throws(() => read(path), (error: Error) => error instanceof UsageError && /it is of version 9/.test(error.message))
  let message = ''
  await record(path, some).catch((error: Error) => (message = `${error.name}: ${error.message}`))
  assert.match(message, /^UsageError: -o: .* cannot be continued: it is of version 9/)
}))

test('a cursor goes a frame forward and back, over the ends of members', () => inFolder(async folder => {
  const path = join(folder, 'x')
  await record(path, some)
  const recording = Recording.open('FILE', path, assert.unreachable)
  const cursor = new Cursor(recording)
  assert.is(cursor.frame, undefined)
  assert.is(cursor.previous(), undefined)
  for (const { time } of some) assert.equal(cursor.next()?.time, time)
  assert.is(cursor.next(), undefined)
  assert.equal(cursor.frame?.time, some.at(-1)!.time)
  for (const { time } of some.slice(0, -1).reverse()) assert.equal(cursor.previous()?.time, time)
  assert.is(cursor.previous(), undefined)
  assert.equal(cursor.frame?.time, some[0]!.time)
  assert.equal(cursor.next()?.time, some[1]!.time)
  recording.close()
}))

test('a cursor goes to a time', () => inFolder(async folder => {
  const path = join(folder, 'x')
  await record(path, some)
  const recording = Recording.open('FILE', path, assert.unreachable)
  const cursor = new Cursor(recording)
  for (const [seconds, expected] of [[-5, 1], [1, 1], [1.5, 2], [60, 60], [60.5, 61], [61, 61], [189.5, 190], [190, 190], [1000, 190]] as const) {
    assert.equal(cursor.seek(at(seconds))?.time, at(expected), `${seconds}`)
  }
  assert.equal(cursor.previous()?.time, at(189))
  recording.close()
}))

test('a cursor in an empty recording has no frame', () => inFolder(folder => {
  writeFileSync(join(folder, 'x'), '')
  const recording = Recording.open('FILE', join(folder, 'x'), () => {})
  const cursor = new Cursor(recording)
  for (const frame of [cursor.next(), cursor.previous(), cursor.seek(at(0)), cursor.frame]) assert.is(frame, undefined)
  assert.is(recording.span, undefined)
  recording.close()
}))

test.run()

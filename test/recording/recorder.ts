import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, statSync, symlinkSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Disk, openRecorder, Recording, RecordingError } from '../../src/recording/index.js'
import { survey } from '../../src/recording/file.js'
import { readMember } from '../../src/recording/member.js'
import { UsageError } from '../../src/usage-error.js'
import { inFolder, plain, record, rounded, surroundings } from './frame.js'
import { frames, Traffic } from './traffic.js'

const start = new Date('2026-02-03T04:00:00Z')
const some = [...frames(new Traffic(3), start, 190)]
const holder = fileURLToPath(new URL('holder.js', import.meta.url))

function read(path: string): { frames: ReturnType<typeof plain>[]; notes: string[] } {
  const notes: string[] = []
  const recording = Recording.open('FILE', path, note => notes.push(note))
  const frames = [...recording.frames()].map(plain)
  recording.close()
  return { frames, notes }
}

/** What a promise is rejected with. */
async function failure(promise: Promise<unknown>): Promise<Error> {
  return promise.then(() => assert.unreachable('it did not fail'), (error: Error) => error) as Promise<Error>
}

test('members are on the disk once they are full, and no sooner', () => inFolder(async folder => {
  const path = join(folder, 'x')
  const done: string[] = []
  const real: Disk = { append: async (_, bytes) => (appendFileSync(path, bytes), done.push('append'), bytes.length), sync: async () => void done.push('sync') }
  const recorder = await openRecorder(path, surroundings({ disk: real }))
  assert.equal(done.splice(0), ['sync'], 'the new name')
  for (const [index, frame] of some.entries()) {
    await recorder.write(frame)
    assert.equal(done.splice(0), index % 60 === 59 ? ['append', 'sync'] : [], `frame ${index}`)
    assert.is(read(path).frames.length, index + 1 - (index + 1) % 60)
  }
  await recorder.close()
  assert.equal(done, ['append', 'sync'])
  assert.is(read(path).frames.length, 190)
}))

test('a member says where the one before it begins', () => inFolder(async folder => {
  const path = join(folder, 'x')
  await record(path, some.slice(0, 100))
  await record(path, some.slice(100))
  const bytes = readFileSync(path)
  const fd = openSync(path, 'r')
  const { places } = survey(fd)
  closeSync(fd)
  assert.is(places.length, 4)
  for (const [index, { offset, length }] of places.entries()) {
    assert.is(readMember(bytes.subarray(offset, offset + length)).previous, places[index - 1]?.offset ?? null)
  }
}))

test('a recorder that has nothing leaves nothing', () => inFolder(async folder => {
  const path = join(folder, 'x')
  await record(path, [])
  assert.not(existsSync(path))
  await record(path, some.slice(0, 1))
  await record(path, [])
  writeFileSync(join(folder, 'empty'), '')
  await record(join(folder, 'empty'), [])
  assert.equal(readdirSync(folder).sort(), ['empty', 'x'])
}))

test('what is recorded is for its owner alone', () => inFolder(async folder => {
  await record(join(folder, 'x'), some.slice(0, 1))
  await record(join(folder, 'new/below/'), some.slice(0, 1))
  assert.is(statSync(join(folder, 'x')).mode & 0o777, 0o600)
  assert.is(statSync(join(folder, 'new/below')).mode & 0o777, 0o700)
}))

test('frames of a day go to its file, and a member has those of one day', () => inFolder(async folder => {
  const days = [...frames(new Traffic(2), new Date('2026-02-03T23:59:30Z'), 90)]
  await record(folder, days, surroundings({ now: () => days[0]!.time }))
  assert.equal(readdirSync(folder).sort(), ['tcptop-2026-02-03.jsonl.gz', 'tcptop-2026-02-04.jsonl.gz'])
  assert.equal(read(join(folder, 'tcptop-2026-02-03.jsonl.gz')).frames, days.slice(0, 29).map(rounded))
  assert.equal(read(join(folder, 'tcptop-2026-02-04.jsonl.gz')).frames, days.slice(29).map(rounded))
}))

test('files of days that are not kept are deleted, by age and by size, and nothing else', () => inFolder(async folder => {
  const files = ['tcptop-2026-01-01.jsonl.gz', 'tcptop-2026-01-02.jsonl.gz', 'tcptop-2026-01-03.jsonl.gz', 'tcptop-2025-13-01.jsonl.gz', 'notes']
  const fill = () => files.forEach(name => writeFileSync(join(folder, name), 'x'.repeat(1000)))
  const left = () => readdirSync(folder).filter(name => files.includes(name)).map(name => name.slice(7, 17)).sort()
  const now = () => new Date('2026-01-04T12:00:00Z')
  const frame = new Traffic(1).frame(now())
  fill()
  await record(folder, [frame], surroundings({ now, keep: 86_400 }))
  assert.equal(left(), ['', '2025-13-01', '2026-01-03'])
  fill()
  await record(folder, [frame], surroundings({ now, maxSize: 3000 }))
  assert.equal(left(), ['', '2025-13-01', '2026-01-02', '2026-01-03'])
  fill()
  await record(folder, [frame], surroundings({ now, maxSize: 1 }))
  assert.equal(left(), ['', '2025-13-01'])
  assert.is(read(join(folder, 'tcptop-2026-01-04.jsonl.gz')).frames.length, 3)
}))

test('a file has no retention', () => inFolder(async folder => {
  for (const retention of [{ keep: 1 }, { maxSize: 1 }]) {
    const error = await failure(openRecorder(join(folder, 'x'), surroundings(retention)))
    assert.instance(error, UsageError)
    assert.match(error.message, /^--keep and --max-size are for a directory/)
  }
}))

test('there can be no recording in what is something else, and it stays as it is', () => inFolder(async folder => {
  writeFileSync(join(folder, 'text'), 'hello')
  writeFileSync(join(folder, 'one'), 'x')
  symlinkSync('/dev/null', join(folder, 'null'))
  assert.is(spawnSync('mkfifo', [join(folder, 'pipe')]).status, 0)
  for (const name of ['text', 'one', 'null', 'pipe', 'not/there', 'text/x']) {
    const error = await failure(openRecorder(join(folder, name), surroundings()))
    assert.instance(error, UsageError, name)
    assert.match(error.message, /^-o must be .*, got "[^\n]*$/, name)
  }
  assert.is(readFileSync(join(folder, 'text'), 'utf8'), 'hello')
}))

test('a torn end is cut off before more is recorded, so that others read all of it', () => inFolder(async folder => {
  const path = join(folder, 'x')
  await record(path, some.slice(0, 120))
  const { size } = statSync(path)
  await record(path, some.slice(120, 150))
  truncateSync(path, size + 77)
  const notes = await record(path, some.slice(150))
  assert.equal(notes, [`"${path}" ended in 77 bytes of a torn member: they are cut off`])
  assert.equal(read(path), { frames: [...some.slice(0, 120), ...some.slice(150)].map(rounded), notes: [] })
  assert.is(spawnSync('gzip', ['-t'], { input: readFileSync(path) }).status, 0)
}))

test('a file that is moved away keeps what it has, and the recording goes on in a new one', () => inFolder(async folder => {
  const [path, moved] = [join(folder, 'x'), join(folder, 'x.1')]
  const options = surroundings()
  const recorder = await openRecorder(path, options)
  for (const frame of some.slice(0, 70)) await recorder.write(frame)
  renameSync(path, moved)
  for (const frame of some.slice(70)) await recorder.write(frame)
  await recorder.close()
  assert.equal(options.notes, [`"${path}" was moved or deleted: the recording goes on in a new file there`])
  assert.equal(read(moved).frames, some.slice(0, 60).map(rounded))
  assert.equal(read(path).frames, some.slice(60).map(rounded))
}))

test('a file that is deleted, or emptied, is begun again', () => inFolder(async folder => {
  for (const [vanish, said] of [[unlinkSync, 1], [(path: string) => truncateSync(path, 0), 0]] as const) {
    const path = join(folder, `x${said}`)
    const options = surroundings()
    const recorder = await openRecorder(path, options)
    for (const frame of some.slice(0, 70)) await recorder.write(frame)
    vanish(path)
    for (const frame of some.slice(70)) await recorder.write(frame)
    await recorder.close()
    assert.is(options.notes.length, said)
    assert.equal(read(path), { frames: some.slice(60).map(rounded), notes: [] })
  }
}))

test('two recorders cannot write one file, by whatever name', () => inFolder(async folder => {
  const path = join(folder, 'x')
  const recorder = await openRecorder(path, surroundings())
  symlinkSync('x', join(folder, 'y'))
  for (const name of [path, join(folder, 'y')]) {
    const error = await failure(openRecorder(name, surroundings()))
    assert.instance(error, RecordingError)
    assert.is(error.message, `cannot record to "${name}": another process writes it`)
  }
  await recorder.write(some[0]!)
  await recorder.close()
  await record(path, [some[1]!])
  assert.equal(read(path).frames, some.slice(0, 2).map(rounded))
}))

/** A process that records frames to a path without end; resolves when it has the lock. */
async function recording(path: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [holder, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  return child
}

test('a recorder that is killed gives its lock back, and all members that it wrote are whole', () => inFolder(async folder => {
  const path = join(folder, 'x')
  for (let turn = 0; turn < 5; turn++) {
    const child = await recording(path)
    if (turn === 0) {
      const error = await failure(openRecorder(path, surroundings()))
      assert.instance(error, RecordingError)
    }
    await sleep(20 + 37 * turn)
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  const recorder = await openRecorder(path, surroundings())
  await recorder.close()
  const { frames, notes } = read(path)
  assert.equal(notes, [])
  assert.ok(frames.length > 0 && frames.length % 60 === 0, `${frames.length} frames`)
}))

test('a disk that is full ends the recording with one line; what was written stays, and nothing is torn', () => inFolder(async folder => {
  const path = join(folder, 'x')
  let capacity = Infinity
  const full: Disk = {
    append: async (_, bytes) => {
      const part = bytes.subarray(0, Math.min(capacity, 1000))
      capacity -= part.length
      if (part.length === 0) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
      appendFileSync(path, part)
      return part.length
    },
    sync: async () => {},
  }
  const recorder = await openRecorder(path, surroundings({ disk: full }))
  for (const frame of some.slice(0, 119)) await recorder.write(frame)
  capacity = 2500
  const error = await failure(recorder.write(some[119]!))
  assert.instance(error, RecordingError)
  assert.is(error.message, `the recording ends: "${path}": ENOSPC: no space left on device; the last 60 frames are not in it`)
  capacity = Infinity
  await recorder.close()
  assert.equal(read(path), { frames: some.slice(0, 60).map(rounded), notes: [] })
}))

test('an error of the disk ends the recording with one line', () => inFolder(async folder => {
  const path = join(folder, 'x')
  let count = 0
  const broken: Disk = {
    append: async (_, bytes) => (appendFileSync(path, bytes), bytes.length),
    sync: async () => {
      if (count++ > 0) throw Object.assign(new Error('EIO: i/o error, fsync'), { code: 'EIO' })
    },
  }
  const error = await failure(record(path, some, surroundings({ disk: broken })))
  assert.instance(error, RecordingError)
  assert.is(error.message, `the recording ends: "${path}": EIO: i/o error; the last 60 frames are not in it`)
}))

test('a directory that is deleted ends the recording with one line', () => inFolder(async folder => {
  const below = join(folder, 'below')
  mkdirSync(below)
  const recorder = await openRecorder(join(below, 'x'), surroundings())
  for (const frame of some.slice(0, 59)) await recorder.write(frame)
  unlinkSync(join(below, 'x'))
  renameSync(below, join(folder, 'other'))
  const error = await failure(recorder.write(some[59]!))
  await recorder.close()
  assert.match(error.message, /^the recording ends: ".*below\/x": ENOENT: no such file or directory; the last 60 frames are not in it$/)
}))

/** Runs a script of the shell where a file system of 64 KB is mounted, read-only or not; undefined where that is not allowed. */
function inSmallDisk(folder: string, script: string): { stdout: string; stderr: string; status: number | null } | undefined {
  const mounted = spawnSync('unshare', ['-rm', 'sh', '-c', `mount -t tmpfs -o size=64k none ${folder} && echo mounted && ${script}`], { encoding: 'utf8' })
  return mounted.stdout?.startsWith('mounted') ? mounted : undefined
}

test('a file system that is full, and one that is read-only', () => inFolder(folder => {
  const full = inSmallDisk(folder, `${process.execPath} ${holder} ${folder}/x; echo "status $?"; gzip -t < ${folder}/x && zcat < ${folder}/x | grep -c '"time"'`)
  if (full === undefined) return console.log('SKIP file systems cannot be mounted here')
  assert.match(full.stderr, /^the recording ends: ".*\/x": ENOSPC: no space left on device; the last 60 frames are not in it\n$/)
  const [, count = ''] = /status 1\n(\d+)\n$/.exec(full.stdout) ?? []
  assert.ok(Number(count) > 0 && Number(count) % 60 === 0, full.stdout)
  const locked = inSmallDisk(folder, `mount -o remount,ro none ${folder} && ${process.execPath} ${holder} ${folder}/x`)!
  assert.match(locked.stderr, /^-o must be a file or a directory that can be written, got ".*\/x": EROFS: read-only file system\n$/)
}))

test('files that cannot be deleted are noted once', () => inFolder(async folder => {
  // A directory is one that unlink refuses.
  mkdirSync(join(folder, 'tcptop-2026-01-01.jsonl.gz'))
  const notes = await record(folder, some.map((frame, index) => ({ ...frame, time: new Date(Date.parse('2026-03-01T00:00:00Z') + 1000 * index) })), surroundings({ keep: 1 }))
  assert.is(notes.length, 1)
  assert.match(notes[0]!, /^old recordings in ".*tcptop-2026-01-01.jsonl.gz" cannot be deleted: E/)
  assert.ok(existsSync(join(folder, 'tcptop-2026-01-01.jsonl.gz')))
}))

test.run()

import { join } from 'node:path'
import { statSync, truncateSync, writeFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { main, type World } from '../../src/main.js'
import type { Shown } from '../../src/frame/index.js'
import { groupings, formats } from '../../src/view/index.js'
import { pick } from '../../src/recording/index.js'
import { inFolder, record, surroundings } from '../recording/frame.js'
import { frames, run, Traffic } from '../recording/traffic.js'

const start = new Date(2026, 1, 3, 2, 59, 0)
const some = [...frames(new Traffic(20), start, 130)]
const [, json] = formats
const connection = groupings[0]!

/** Runs the program where it has files, a clock and its output, and no kernel. */
async function ask(...argv: readonly string[]): Promise<{ status: number; text: string; told: string }> {
  const [written, told]: [string[], string[]] = [[], []]
  const out = { isTerminal: false, size: () => undefined, write: async (text: string) => void written.push(text) }
  const clock = { date: () => new Date(2026, 1, 3, 12, 0, 0) }
  const status = await main(argv, { out, clock, log: (line: string) => void told.push(line), readText: () => undefined } as unknown as World)
  return { status, text: written.join(''), told: told.join('\n') }
}

const printed = (shown: readonly Shown[], grouping = connection) => shown.map(frame => {
  const rows = pick(frame.rows, { grouping, sort: grouping.sorts.get('all')!, limit: Infinity })
  return json!.frame({ ...frame, rows }, { grouping, summary: true })
}).join('')

async function withRecording(use: (path: string, folder: string) => Promise<void>): Promise<void> {
  await inFolder(async folder => {
    const path = join(folder, 'x')
    await record(path, some, surroundings({ run: { ...run, by: 'connection,port' } }))
    await use(path, folder)
  })
}

test('a replay prints the frames as they were printed live, to the byte', () => withRecording(async path => {
  assert.equal(await ask('replay', path, '-f', 'json'), { status: 0, text: printed(some), told: '' })
}))

test('a replay begins at a time of day, which is local, at a date, or before now', () => withRecording(async path => {
  // The first frame ends at 02:59:01, and that of 03:00 is the sixtieth.
  const from = some.slice(59)
  for (const at of ['03:00', '3:00:00', new Date(from[0]!.time.getTime() - 500).toISOString(), '9h ago']) {
    assert.is((await ask('replay', path, '--at', at, '-f', 'json')).text, printed(from), at)
  }
}))

test('a replay as a table has no heading about what is to come', () => withRecording(async path => {
  const { status, text, told } = await ask('replay', path)
  assert.equal([status, told], [0, ''])
  assert.match(text, /^\n02:59:01 loadavg: /)
}))

test('a dump is one sum with the shape of a frame', () => withRecording(async path => {
  const { text } = await ask('dump', path, '-f', 'json', '--by', 'comm', '-r', '3')
  const sum = JSON.parse(text)
  assert.equal(Object.keys(sum), Object.keys(JSON.parse(printed(some.slice(0, 1)))))
  assert.is(sum.rows.length, 3)
  assert.is(sum.total.rx, some.reduce((sum, { total }) => sum + total.rx, 0))
  assert.equal([sum.lost, sum.missed], [{ events: 0, rx: 0, tx: 0 }, 0])
}))

test('a dump is of a part of time, of each minute, of some rows', () => withRecording(async path => {
  const totals = async (...options: string[]) =>
    (await ask('dump', path, '-f', 'json', ...options)).text.split('\n').slice(0, -1).map(line => JSON.parse(line).total.rx as number)
  const sum = (from: number, to: number) => some.slice(from, to).reduce((sum, { total }) => sum + total.rx, 0)
  assert.equal(await totals('--begin', '03:00'), [sum(60, 130)])
  assert.equal(await totals('--end', '03:00'), [sum(0, 60)])
  assert.equal(await totals('--begin', '02:59:30', '--end', '03:00:30'), [sum(30, 90)])
  assert.equal(await totals('--every', '1m'), [sum(0, 60), sum(60, 120), sum(120, 130)])
  const pid = some[0]!.rows[0]!.pid!
  assert.equal(await totals('-p', `${pid}`), [some.flatMap(({ rows }) => rows.filter(row => row.pid === pid)).reduce((sum, { rx }) => sum + rx, 0)])
  assert.equal(await totals('-6'), [0])
}))

test('all rows of a dump in the flat format have all bytes, and where they were counted', () => withRecording(async path => {
  const lines = (await ask('dump', path, '-f', 'rows', '--every', '1m', '-r', '2')).text.split('\n').slice(0, -1).map(line => JSON.parse(line))
  assert.ok(lines.every(({ host, boot }) => host === run.host && boot === run.boot))
  assert.is(lines.reduce((sum, { rx }) => sum + rx, 0), some.reduce((sum, { total }) => sum + total.rx, 0))
}))

test('a time without frames is noted', () => withRecording(async path => {
  assert.equal(await ask('dump', path, '--begin', '2027-01-01', '-f', 'json'), { status: 0, text: '', told: 'tcptop: the recording has no frames of that time' })
}))

test('two times are compared, and two recordings', () => withRecording(async (path, folder) => {
  const { rows } = JSON.parse((await ask('diff', path, '--a', '02:59:00-02:59:30', '--b', '03:00-03:00:30', '-f', 'json', '--by', 'host')).text)
  assert.ok(rows.length > 5)
  const changes = rows.map(({ change }: { change: number }) => Math.abs(change))
  assert.equal(changes, changes.toSorted((one: number, other: number) => other - one))
  const other = join(folder, 'y')
  await record(other, some.slice(0, 1), surroundings({ run: { ...run, by: 'connection,port' } }))
  const { status, text, told } = await ask('diff', path, other, '-r', '2')
  assert.equal([status, told], [0, ''])
  assert.match(text, /^before .*\nafter  .*\nnote: after is 0\.01 times as long as before\n\nCOMM +BEFORE_KB +AFTER_KB +CHANGE_KB +CHANGE_% +WHAT\n.*\n.*\n$/)
  assert.match((await ask('diff', path, path)).text, /\nnothing changed\n$/)
}))

test('a torn recording is read as far as it is whole, with one note', () => withRecording(async path => {
  truncateSync(path, statSync(path).size - 100)
  const { status, text, told } = await ask('replay', path, '-f', 'json')
  assert.is(status, 0)
  assert.match(told, /^tcptop: \d+ bytes of ".*" are torn or damaged: what is whole is read$/)
  assert.is(text, printed(some.slice(0, 120)))
}))

const refusals: readonly (readonly [argv: readonly string[], told: RegExp])[] = [
  [['replay'], /^tcptop: FILE must be the path of a recording, got nothing$/],
  [['dump', '/dev/null'], /^tcptop: FILE must be a regular file or a directory, got "\/dev\/null"$/],
  [['replay', 'nothing-here'], /^tcptop: FILE must be a recording, got "nothing-here": ENOENT: no such file or directory$/],
  [['record'], /^tcptop: record must have an --output, got none$/],
  [['record', '-o', ''], /^tcptop: --output must be the path of a file or a directory, got nothing$/],
  [['record', '-o', '/dev/null', '-f', 'json'], /^tcptop: options must be .* with record, got --format$/],
  [['record', '-o', '/dev/null'], /^tcptop: -o must be a regular file or a directory, got "\/dev\/null"$/],
  [['record', '-o', 'x', '--keep', 'long'], /^tcptop: --keep must be a length of time such as 7d/],
  [['diff', 'RECORDING'], /^tcptop: diff must have two recordings, or one with --a and --b$/],
  [['diff', 'RECORDING', 'RECORDING', '-f', 'csv'], /^tcptop: --format must be table or json with diff, got "csv"$/],
  [['dump', 'RECORDING', '--begin', 'soon'], /^tcptop: --begin must be a time such as 03:00/],
  [['dump', 'RECORDING', '--every', '1'], /^tcptop: --every must be a length of time/],
  [['dump', 'RECORDING', '-46'], /^tcptop: only one of --ipv4 and --ipv6 may be given/],
  [['replay', 'RECORDING', '--at', '25:00'], /^tcptop: --at must be a time such as 03:00/],
  [['dump', 'TEXT'], /^tcptop: FILE must be a recording, got ".*", which is something else$/],
  [['dump', 'COMM', '--by', 'host'], /^tcptop: --by must be no finer than the recording, which is by "comm", got "host"$/],
]
for (const [argv, expected] of refusals) {
  test(`tcptop ${argv.join(' ')} is refused in one line`, () => withRecording(async (path, folder) => {
    const [text, comm] = [join(folder, 'text'), join(folder, 'comm')]
    writeFileSync(text, 'hello\n')
    await record(comm, some.slice(0, 1), surroundings({ run: { ...run, by: 'comm' } }))
    const names: Record<string, string> = { RECORDING: path, TEXT: text, COMM: comm }
    const { status, told } = await ask(...argv.map(word => names[word] ?? word))
    assert.match(told, expected)
    assert.is(status, 2)
  }))
}

test.run()

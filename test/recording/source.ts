import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Frame, pour, type Row, type Shown, type View } from '../../src/frame/index.js'
import { only, openRecorder, pick, recorded, recordedFrames, Recording, summedFrames } from '../../src/recording/index.js'
import { formats, type Grouping, groupings, together } from '../../src/view/index.js'
import { inFolder, rounded, surroundings } from './frame.js'
import { frames, Traffic } from './traffic.js'

const start = new Date('2026-02-03T04:00:00Z')
const groupingOf = (...names: string[]) => together(names.map(name => groupings.find(grouping => grouping.name === name)!))
const viewOf = (grouping: Grouping, sort = 'all', limit = Infinity): View => ({ grouping, sort: grouping.sorts.get(sort)!, limit })
const [, json] = formats

async function* sourceOf(some: Iterable<Shown>): AsyncGenerator<Frame, void> {
  for (const frame of some) yield { ...frame, pick: view => pick(frame.rows, view), count: () => frame.rows.length }
}

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = []
  for await (const item of items) list.push(item)
  return list
}

/** What is printed of frames as JSON. */
async function printed(some: AsyncIterable<Frame>, view: View): Promise<string> {
  let text = ''
  const grouping = view.grouping as Grouping
  await pour(some, [{ frame: async frame => void (text += json!.frame({ ...frame, rows: frame.pick(view) }, { grouping, summary: true })) }])
  return text
}

async function recordTo(path: string, some: Iterable<Shown>, grouping = groupingOf('connection')): Promise<Recording> {
  const recorder = await openRecorder(path, surroundings())
  await pour(sourceOf(some), [recorded(recorder, viewOf(grouping))])
  await recorder.close()
  return Recording.open('FILE', path, assert.unreachable)
}

test('what is printed of a recording is what was printed of the frames, to the byte', () => inFolder(async folder => {
  const some = [...frames(new Traffic(30), start, 130)]
  const recording = await recordTo(join(folder, 'x'), some)
  for (const names of [['connection'], ['process'], ['comm'], ['host'], ['cgroup'], ['comm', 'cgroup'], ['host', 'comm']]) {
    for (const [sort, limit] of [['all', Infinity], ['sent', 3], ['received', 7]] as const) {
      const view = viewOf(groupingOf(...names), sort, limit)
      assert.is(await printed(recordedFrames(recording.frames()), view), await printed(sourceOf(some), view), `${names.join()} by ${sort}`)
    }
  }
  recording.close()
}))

test('a sum of one frame prints as the frame', () => inFolder(async folder => {
  const some = [...frames(new Traffic(30), start, 1)].map(rounded)
  const recording = await recordTo(join(folder, 'x'), some)
  const view = viewOf(groupingOf('connection'))
  assert.is(await printed(summedFrames(recording.frames(), view.grouping), view), await printed(sourceOf(some), view))
  recording.close()
}))

test('a sum has the bytes of all frames, of a part of time and of the rows that are wanted', () => inFolder(async folder => {
  const some = [...frames(new Traffic(30), start, 130)]
  const recording = await recordTo(join(folder, 'x'), some)
  const view = viewOf(groupingOf('comm'))
  const span = { after: some[9]!.time, until: some[99]!.time }
  const of = (comm: string) => ({ comm: name }: { readonly comm?: string }) => name === comm
  const sum = (rows: readonly Row[]) => rows.reduce((sum, { rx }) => sum + rx, 0)
  const [frame] = await all(summedFrames(Array.from(recording.frames(span), frame => only(frame, of('nginx'))), view.grouping))
  const expected = sum(some.slice(10, 100).flatMap(({ rows }) => rows.filter(of('nginx'))))
  assert.equal(frame!.pick(view).map(({ comm, rx }) => [comm, rx]), [['nginx', expected]])
  assert.is(frame!.total.rx, expected)
  const minutes = await all(summedFrames(recording.frames(), view.grouping, 60))
  assert.equal(minutes.map(({ total }) => total.rx), [[0, 60], [60, 120], [120, 130]].map(([from, to]) => sum(some.slice(from, to).flatMap(({ rows }) => rows))))
  recording.close()
}))

test('rows of one id are apart where the processes or the namespaces are, and are one where that is not asked for', () => {
  const row = { pid: 7, comm: 'sh', family: 4, laddr: '10.0.0.1', lport: 1, raddr: '10.0.0.2', rport: 2, cgroup: '/', rx: 1, tx: 2 } as const
  const rows: (Row & { netns: number; start: string })[] = [
    { ...row, netns: 1, start: '5' }, { ...row, netns: 2, start: '5' }, { ...row, netns: 2, start: '6' }, { ...row, netns: 2, start: '6' },
  ]
  const picked = (name: string) => pick(rows, viewOf(groupingOf(name))).map(({ rx }) => rx)
  assert.equal(picked('connection'), [2, 1, 1])
  assert.equal(picked('process'), [2, 2])
  assert.equal(picked('comm'), [4])
})

test('processes outside of the namespace are told apart by the number of the host', () => {
  const rows = [{ hostPid: 7, comm: 'a', rx: 1, tx: 0 }, { hostPid: 8, comm: 'a', rx: 2, tx: 0 }, { pid: 7, hostPid: 9, comm: 'a', rx: 4, tx: 0 }]
  assert.equal(pick(rows, viewOf(groupingOf('process'))), [rows[2], rows[1], rows[0]])
})

test('a row that is alone in its group keeps what else was measured', () => {
  const rows = [{ comm: 'a', rx: 1, tx: 0, rtt: 7 }, { comm: 'b', pid: 1, rx: 1, tx: 0, rtt: 8 }, { comm: 'b', pid: 2, rx: 1, tx: 0, rtt: 9 }]
  assert.equal(pick(rows, viewOf(groupingOf('comm'))), [{ comm: 'b', rx: 2, tx: 0 }, { comm: 'a', rx: 1, tx: 0, rtt: 7 }])
})

test.run()

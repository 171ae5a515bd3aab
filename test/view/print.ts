import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Frame, View } from '../../src/frame/frame.js'
import { type Measure, measures } from '../../src/frame/measure.js'
import type { Row } from '../../src/frame/row.js'
import { csv } from '../../src/view/csv.js'
import { formats } from '../../src/view/formats.js'
import { type Grouping, groupingsWith } from '../../src/view/grouping.js'
import { json } from '../../src/view/json.js'
import { type Printing, printed } from '../../src/view/print.js'
import { table } from '../../src/view/table.js'
import { frameOf, groupingOf, localTime, samples, presentationOf } from './sample.js'

const grouping = groupingOf('process')
const sort = grouping.sorts.get('all')!

/** A frame as any source might have it: of the kernel, or of a recording. */
function frame(change: Partial<Frame> = {}, views: View[] = []): Frame {
  const { rows, ...rest } = frameOf(samples.process!, { time: localTime })
  const pick = (view: View) => {
    views.push(view)
    return rows.slice(0, view.limit)
  }
  return { ...rest, pick, count: () => rows.length, ...change }
}

async function print(frames: readonly Frame[], change: Partial<Printing> = {}) {
  const [written, told]: [string[], string[]] = [[], []]
  const out = { isTerminal: true, size: () => undefined, write: async (text: string) => void written.push(text) }
  const sink = printed({ format: table, grouping, sort, intervalText: '2', summary: true, ...change }, out, line => told.push(line))
  await sink.start!()
  for (const one of frames) await sink.frame(one)
  return { written, told }
}

for (const format of formats) {
  test(`${format.name}: what is printed is what the format makes of the rows that were picked`, async () => {
    const views: View[] = []
    const { written } = await print([frame({}, views)], { format, rows: 2 })
    const shown = frameOf(samples.process!.slice(0, 2), { time: localTime, total: frame().total })
    assert.equal(written.filter(Boolean), [
      format.start({ intervalText: '2', grouping }), format.frame(shown, presentationOf('process')),
    ].filter(Boolean))
    assert.equal(views.map(({ limit }) => limit), [2])
    // A format that needs more than is shown picks by a grouping that has it.
    assert.ok(views.every(view => (format.hidden ? (view.grouping as Grouping).name === grouping.name : view.grouping === grouping) && view.sort === sort))
  })
}

test('a load average that cannot be read is reported once, if it is wanted', async () => {
  const without = frame({ loadavg: null })
  assert.equal((await print([without, without])).told, ['tcptop: /proc/loadavg cannot be read: the summary line is skipped'])
  assert.equal((await print([without], { summary: false })).told, [])
})

test('a gauge and a counter that are added to the list are in table, JSON and CSV, and the counter in totals and losses', () => {
  const list: readonly Measure[] = [
    measures[0], { name: 'rtt', from: 136, merge: 'max', unit: 'nanoseconds' }, measures[1], { name: 'retrans', from: 144, merge: 'sum', unit: 'bytes' },
  ]
  const grouping = groupingsWith(list).find(({ name }) => name === 'comm')!
  const row = { comm: 'a', rx: 2048, rtt: 7_900_000, tx: 1, retrans: 4096 } as Row
  const counts = { rx: 2048, tx: 1, retrans: 4096 }
  const shown = frameOf([row], { loadavg: null, total: counts, lost: { events: 1, ...counts } })
  const presentation = { ...presentationOf('comm'), grouping }
  assert.match(table.frame(shown, presentation), /\nCOMM          RX_KB RTT_MS  TX_KB RETRANS_KB\na                 2      7      0          4\n/)
  assert.is(csv.start({ intervalText: '1', grouping }), 'time,interval,comm,rx,rtt,tx,retrans\n')
  assert.match(csv.frame(shown, presentation), /,a,2048,7900000,1,4096\n.*,lost,2048,,1,4096\n$/)
  const { rows, total, lost } = JSON.parse(json.frame(shown, presentation)) as Readonly<Record<string, unknown>>
  assert.equal([rows, total, lost], [[row], counts, { events: 1, ...counts }])
})

test.run()

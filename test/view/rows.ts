import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { groupings, together, withHidden } from '../../src/view/grouping.js'
import { rows } from '../../src/view/rows.js'
import { Identity, RowLayout as At, Value } from '../../src/layout.js'
import { Random } from '../kit/random.js'
import { frameOf, groupingOf, noLoss, randomRow, samples, presentationOf } from './sample.js'

const origin = { host: 'web1', boot: '0b0c1d2e-1111-4222-8333-444455556666' }
const parse = (text: string) => text.split('\n').slice(0, -1).map(line => JSON.parse(line) as Record<string, unknown>)
const at = { time: '2026-01-02T20:27:12.003Z', interval: 1.0003 }

test('a row is a line, flat, with where and when it was counted', () => {
  const row = { ...samples.connection![0]!, netns: 4026531840, start: '123' }
  assert.equal(parse(rows.frame({ ...frameOf([row]), origin }, presentationOf('connection'))), [{
    ...at, ...origin, kind: 'row', pid: 1234, comm: 'sshd', family: 4, laddr: '10.0.0.1', lport: 22, raddr: '10.0.0.2', rport: 50000,
    cgroup: '/system.slice/ssh.service', rx: 1024, tx: 2097152, netns: 4026531840, start: '123',
  }])
})

test('what a row does not have is absent, and so is a host that is not known', () => {
  assert.equal(parse(rows.frame(frameOf([{ hostPid: 7, comm: 'x', rx: 1, tx: 2 }]), presentationOf('process'))), [{ ...at, kind: 'row', hostPid: 7, comm: 'x', rx: 1, tx: 2 }])
  const [line] = parse(rows.frame({ ...frameOf([{ comm: 'x', rx: 1, tx: 2 }]), origin: { host: 'h', boot: null } }, presentationOf('comm')))
  assert.equal(line, { ...at, host: 'h', kind: 'row', comm: 'x', rx: 1, tx: 2 })
})

test('all lines together have all bytes', () => {
  const random = new Random()
  random.repeat(100, () => {
    const grouping = random.pick(groupings)
    const some = Array.from({ length: random.below(9) }, () => ({ ...randomRow(random, grouping), rx: random.below(2 ** 40), tx: random.below(2 ** 40) }))
    const sum = (name: 'rx' | 'tx') => some.reduce((sum, row) => sum + row[name], 0)
    const more = random.pick([{ rx: 0, tx: 0 }, { rx: 5, tx: 0 }, { rx: 0, tx: 7 }])
    const lost = random.pick([noLoss, { events: 2, rx: 3, tx: 4 }])
    const total = { rx: sum('rx') + more.rx, tx: sum('tx') + more.tx }
    const lines = parse(rows.frame(frameOf(some, { total, lost }), presentationOf(grouping.name)))
    for (const name of ['rx', 'tx'] as const) assert.is(lines.reduce((sum, line) => sum + (line[name] as number), 0), total[name] + lost[name])
    assert.is(lines.filter(({ kind }) => kind === 'row').length, some.length)
    assert.is(lines.some(({ kind }) => kind === 'rest'), more.rx + more.tx > 0)
    assert.equal(lines.filter(({ kind }) => kind === 'lost').map(({ events }) => events), lost === noLoss ? [] : [2])
  })
})

test('no frame, no line', () => assert.is(rows.frame(frameOf([]), presentationOf('connection')), ''))

test('no line can drive a terminal', () => {
  assert.match(rows.frame(frameOf([{ comm: '\x1b[2J\u202e', rx: 1, tx: 2 }]), presentationOf('comm')), /^[\x20-\x7e]*\n$/)
})

test('what rows are told apart by and do not show is read where the grouping tells it apart', () => {
  const view = new DataView(new ArrayBuffer(At.amounts + 64))
  const identity = At.identity - Identity.start
  view.setUint32(identity + Value.netns, 4026531840, true)
  view.setBigUint64(identity + Value.start, 2n ** 60n + 1n, true)
  const hidden = (...names: string[]) => {
    const { netns, start } = withHidden(together(names.map(groupingOf))).decode(view, 0) as { netns?: number; start?: string }
    return [netns, start]
  }
  assert.equal(hidden('connection'), [4026531840, `${2n ** 60n + 1n}`])
  assert.equal(hidden('process'), [undefined, `${2n ** 60n + 1n}`])
  assert.equal(hidden('host'), [undefined, undefined])
})

test.run()

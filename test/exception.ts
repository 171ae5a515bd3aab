import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { exceptionFor, exceptions, type Way } from './e2e/exception.js'

const ways: readonly Way[] = ['return', 'tracepoint', 'packet', 'release']
const cases = [...new Set(exceptions.flatMap(({ cases }) => cases))]
const excused = (release: string, way: Way, missed: number | null) => cases.filter(name => exceptionFor(name, release, way, missed)?.ifMissed)

test('exceptions for skipped runs hold only where the kernel skipped some or does not count them', () => {
  for (const way of ways) {
    for (const release of ['6.18.1', '7.3.4']) {
      assert.equal(excused(release, way, 0), [])
      assert.equal(excused(release, way, 3), excused(release, way, null))
    }
    for (const release of ['5.10', '6.1', '6.12']) assert.equal(excused(release, way, 3), [])
  }
  assert.ok(excused('7.3', 'tracepoint', 1).includes('four-senders-one-socket'))
  assert.ok(excused('7.3', 'release', 1).includes('short-connections'))
})

test('sends are never missed at returns under the lock; before 7.0, tracepoints miss only what calls return', () => {
  const byResult = cases.filter(name => /^(blocked-)?mptcp/.test(name))
  assert.equal(excused('6.18', 'return', 9), [])
  assert.equal(excused('7.3', 'return', 9), ['four-receivers-one-socket'], 'receives are seen by a tracepoint')
  assert.equal(excused('6.18', 'tracepoint', 9), byResult)
})

test.run()

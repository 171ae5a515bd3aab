import * as assert from 'uvu/assert'
import type { Row, World } from './world.js'

/** What is not as it must be, three lines for each row. */
function wrongRows({ moved, counted }: { readonly moved: Record<string, Row>; readonly counted: Record<string, Row> }): string {
  const shown = (row?: Row) => row === undefined ? 'no row' : Object.entries(row).map(([name, value]) => `${name} ${value}`).join(', ')
  return [...new Set([...Object.keys(counted), ...Object.keys(moved)])].filter(key => shown(counted[key]) !== shown(moved[key]))
    .map(key => `${key}\n  counted ${shown(counted[key])}\n  moved   ${shown(moved[key])}`).join('\n')
}

/** Every byte is in the row of the process that moved it, none is lost, and the programs know how many entries there are, and how many are over. */
export function isTrue(world: World): void {
  world.drain()
  assert.is(wrongRows({ moved: world.moved, counted: world.counted() }), '')
  const { lost, entered, gone } = world.stats()
  assert.equal(lost, { events: 0n, tx: 0n, rx: 0n })
  assert.is(entered, world.entries().all, 'entered')
  assert.is(gone, world.over(), 'gone')
}

/** The same once all connections are closed. */
export function isTrueAtEnd(world: World): void {
  isTrue(world)
  assert.is(world.stats().gone, world.entries().own, 'every socket is gone')
}

/** What was moved is in a row that may have it, or lost. */
export function balances(world: World): void {
  world.drain()
  const rows = Object.values(world.counted())
  const { lost } = world.stats()
  for (const direction of ['tx', 'rx'] as const) {
    const sum = (of: Record<string, Row>) => Object.values(of).reduce((total, row) => total + row[direction], 0n)
    assert.is(rows.reduce((total, row) => total + row[direction], lost[direction]), sum(world.moved), direction)
  }
  for (const [key, row] of Object.entries(world.counted())) {
    const moved = world.moved[key]
    assert.ok(moved !== undefined && row.tx <= moved.tx && row.rx <= moved.rx, key)
  }
}

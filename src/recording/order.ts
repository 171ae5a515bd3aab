import { firstRows, type Row } from '../frame/index.js'

/** What rows are sorted by: the bytes of both directions, or a field of the row. */
export interface Order {
  readonly by: 'all' | keyof Row
  readonly order: 'descending' | 'ascending'
}

/** The first `limit` rows in order, as a live frame has them: see `firstRows`. */
export function ordered(rows: readonly Row[], { by, order }: Order, limit = Infinity, byFamily = false): readonly Row[] {
  const sign = order === 'descending' ? -1 : 1
  const keys = new Map(rows.map(row => [row, keyOf(row, by)]))
  return firstRows(rows, (one, other) => sign * compare(keys.get(one)!, keys.get(other)!), limit, byFamily)
}

function keyOf(row: Row, by: Order['by']): number | string | Buffer {
  if (by === 'all') return row.rx + row.tx
  const value = row[by] ?? ''
  if (typeof value === 'number') return value
  return by === 'laddr' || by === 'raddr' ? addressKey(value) : Buffer.from(value)
}

function compare(one: number | string | Buffer, other: number | string | Buffer): number {
  if (Buffer.isBuffer(one) && Buffer.isBuffer(other)) return Buffer.compare(one, other)
  return one < other ? -1 : one > other ? 1 : 0
}

/** An address as a text that sorts as its bytes do. */
function addressKey(address: string): string {
  if (address.includes('.')) return address.split('.').map(part => part.padStart(3, '0')).join('.')
  const [head = [], tail] = address.split('::').map(half => half === '' ? [] : half.split(':'))
  const groups = tail === undefined ? head : [...head, ...Array<string>(Math.max(0, 8 - head.length - tail.length)).fill('0'), ...tail]
  return groups.map(group => group.padStart(4, '0')).join(':')
}

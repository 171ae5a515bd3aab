import type { Row, RowShape } from '../../frame/index.js'
import { RowLayout as At } from '../../layout.js'

const key = Symbol('key')

/** What tells a row from all others of its grouping, if it was picked by `keyed`. */
export function keyOf(row: Row): string {
  return (row as { readonly [key]?: string })[key] ?? ''
}

/** The grouping, whose rows have a key: the bytes of the identity that it tells apart, as a text. */
export function keyed(shape: RowShape): RowShape {
  const places = [...shape.mask().entries()].flatMap(([place, byte]) => byte === 0 ? [] : [place])
  const bytes = Buffer.alloc(places.length)
  return {
    ...shape,
    decode: (view, offset) => {
      const start = offset + At.identity
      for (const [index, place] of places.entries()) bytes[index] = view.getUint8(start + place)
      return { ...shape.decode(view, offset), [key]: bytes.toString('latin1') }
    },
  }
}


import type { AttrPointer } from './native.js'

/** Where the fields of a structure are; `size` bytes hold them all. */
export interface Layout<Field extends string = string> {
  readonly size: number
  readonly fields: Readonly<Record<Field, readonly [offset: number, size: number]>>
}

/** A number goes into the field, a string into a `char[]`, of a buffer the address; with `bytes` the kernel touches only so many. */
export type FieldValue = number | bigint | string | Uint8Array | { readonly buffer: Uint8Array; readonly bytes: number }

export interface Attr {
  readonly bytes: Uint8Array
  readonly pointers: readonly AttrPointer[]
}

const encoder = new TextEncoder()

/**
 * The structure with these fields set and all others zero, in the machine's byte order, which is little-endian. Throws RangeError for a
 * value that does not fit its field.
 */
export function attrOf<Field extends string>(layout: Layout<Field>, values: Readonly<Partial<Record<Field, FieldValue | undefined>>>): Attr {
  const bytes = new Uint8Array(layout.size)
  const view = new DataView(bytes.buffer)
  const pointers: AttrPointer[] = []
  for (const [name, value] of Object.entries<FieldValue | undefined>(values)) {
    if (value === undefined) continue
    const [offset, size] = layout.fields[name as Field]
    if (typeof value === 'string') putString(bytes, offset, size, name, value)
    else if (typeof value === 'number' || typeof value === 'bigint') putNumber(view, offset, size, name, value)
    else pointers.push(value instanceof Uint8Array ? [offset, value, value.length] : [offset, value.buffer, value.bytes])
  }
  return { bytes, pointers }
}

/** A field of a structure that the kernel has filled in. */
export function readField<Field extends string>(layout: Layout<Field>, bytes: Uint8Array, name: Field): number {
  const [offset, size] = layout.fields[name]
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return size === 8 ? Number(view.getBigUint64(offset, true)) : view.getUint32(offset, true)
}

/** A `char[]` of such a structure, up to its NUL. */
export function stringOf<Field extends string>(layout: Layout<Field>, bytes: Uint8Array, name: Field): string {
  const [offset, size] = layout.fields[name]
  const text = bytes.subarray(offset, offset + size)
  const end = text.indexOf(0)
  return new TextDecoder().decode(end < 0 ? text : text.subarray(0, end))
}

/** A C string: with its NUL. */
export function cString(text: string): Uint8Array {
  return encoder.encode(`${text}\0`)
}

function putString(bytes: Uint8Array, offset: number, size: number, name: string, value: string): void {
  const text = encoder.encode(value)
  if (text.length >= size) throw new RangeError(`${name} must have at most ${size - 1} bytes, got "${value}"`)
  bytes.set(text, offset)
}

function putNumber(view: DataView, offset: number, size: number, name: string, value: number | bigint): void {
  const wide = typeof value === 'bigint' ? value : Number.isSafeInteger(value) ? BigInt(value) : -1n
  if (wide < 0n || wide >= 1n << BigInt(8 * size)) throw new RangeError(`${name} is a number of ${size} bytes, got ${value}`)
  if (size === 8) view.setBigUint64(offset, wide, true)
  else view.setUint32(offset, Number(wide), true)
}

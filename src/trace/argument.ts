import { type Btf, type Field, fieldAt, type Integer, r1 } from '../../bpf-asm/index.js'
import { UnsupportedError } from '../../syscall/index.js'
import { placesOf, type Point, pointName, pointOf } from './point/index.js'

/**
 * The arguments of a tracepoint or function, by their names in the kernel's BTF or by position (`args[0]`), relative to r1: load them before r1
 * is used for anything else. Each has its own size: 8 bytes for a pointer or a long, 4 for an int, 1 for a bool. An argument that this kernel
 * does not have throws UnsupportedError, which lists the others; `'err' in args` asks first.
 */
export interface Arguments {
  readonly [name: string]: Field
  /** The socket: what most functions and tracepoints of TCP have. */
  readonly sk: Field
  /** The packet. */
  readonly skb: Field
  /** What the function returned, at an exit. */
  readonly ret: Field
}

/** An argument: its name, which BTF may not have, and where it is. */
interface Argument {
  readonly name: string
  readonly offset: number
  readonly shape: Integer
}

/** The arguments at a point, on this machine or one that Node.js calls `arch`. `btf` is asked for when an argument is. */
export function argumentsAt(on: Point, btf: () => Btf, arch: string = process.arch): Arguments {
  let known: readonly Argument[] | undefined
  const find = (key: string) => {
    known ??= listed(on, btf(), arch)
    return known.find(({ name }) => name === key) ?? (/^\d+$/.test(key) ? known[Number(key)] : undefined)
  }
  return new Proxy({} as Arguments, {
    has: (_, key) => typeof key === 'string' && find(key) !== undefined,
    get(_, key) {
      if (typeof key !== 'string') return undefined
      const found = find(key)
      if (found === undefined) throw new UnsupportedError(`${pointName(on)} has no argument ${key}: ${names(known!)}`)
      return fieldAt(r1, found.offset, found.shape)
    },
  })
}

function names(known: readonly Argument[]): string {
  if (known.length === 0) return 'it has none, or this kernel has no such point'
  return known.some(({ name }) => name === '')
    ? `this kernel's BTF does not have their names, use args[0] to args[${known.length - 1}]`
    : `it has ${known.map(({ name }) => name).join(', ')}`
}

/** Integers by their size in bytes; larger arguments are reached by their first word. */
const integers: Readonly<Record<number, Integer>> = { 1: 'u8', 2: 'u16', 4: 'u32' }

function listed(on: Point, btf: Btf, arch: string): Argument[] {
  const signature = pointOf(on).call(placesOf(btf), arch)
  const { func, result } = signature
  if (func === undefined) return []
  const argument = (name: string, offset: number | undefined, typeId: number): Argument[] =>
    offset === undefined ? [] : [{ name, offset, shape: integers[btf.sizeOfType(typeId)] ?? 'u64' }]
  return [
    ...func.params.flatMap(({ name, typeId }, position) => argument(name, signature.offset(position), typeId)),
    ...func.returns === 0 ? [] : argument('ret', result, func.returns),
  ]
}

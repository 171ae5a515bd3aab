import { assemble, type Assembly, type Btf, checkedName, type Code, fieldOf, type StructField } from '../../bpf-asm/index.js'
import { UnsupportedError } from '../../syscall/index.js'
import { type Arguments, argumentsAt } from './argument.js'
import { kernelBtf } from './kernel-btf.js'
import { byName, type Load, loadAt, type Places, placesOf, type Point, pointName } from './point/index.js'

/** A program, ready to be encoded. */
export interface ProgramPlan extends Load {
  /** At most 15 characters; the kernel's lists and our errors show it. */
  readonly name: string
  readonly hook: Point
  readonly assembly: Assembly
}

/** What a program is written with: the arguments at its point, and the kernel's structures. */
export interface Inputs {
  /** The arguments at the point, by name: `args.sk.load(r6)`. */
  readonly args: Arguments
  /** A member of a kernel structure by its path: `field('sock', '__sk_common.skc_dport').load(r1, r6)`. Throws BtfError when there is none. */
  field(struct: string, path: string): StructField
  /** The kernel's BTF. Throws UnsupportedError when this kernel has none. */
  readonly btf: Btf
}

/**
 * A program for a point. `code` may be a function, which is called when the program is first needed, with the arguments and the kernel's structures.
 * Points that are found by BTF id are looked up in the running kernel's BTF, which takes about 50 ms to read, unless `places` says otherwise: a tracer
 * of several programs passes the same `placesOf(kernelBtf())` to each. Throws UnsupportedError when the kernel has no such point or no BTF,
 * AssemblyError for a name that the kernel would refuse and for code that does not hang together.
 *
 * ```ts
 * programAt('retransmits', { tracepoint: 'tcp_retransmit_skb' }, ({ args, field }) => [
 *   args.sk.load(r6),
 *   field('sock', '__sk_common.skc_dport').load(r1, r6),
 *   leave(),
 * ])
 * ```
 */
export function programAt(name: string, on: Point, code: Code | ((inputs: Inputs) => Code), places: Places = placesFor(on)): ProgramPlan {
  const load = loadAt(on, places)
  if (load === undefined) throw new UnsupportedError(`this kernel has no ${pointName(on)}`)
  const make = typeof code === 'function' ? () => code(inputsOf(on, places)) : code
  let assembly = typeof make === 'function' ? undefined : assemble(make)
  return {
    name: checkedName(name),
    hook: on,
    ...load,
    get assembly() {
      return assembly ??= assemble(make)
    },
  }
}

/** What is attached by name needs no BTF, which takes long to read. */
function placesFor(on: Point): Places {
  return loadAt(on, byName) === undefined ? placesOf(kernelBtf()) : byName
}

function inputsOf(on: Point, places: Places): Inputs {
  let read = places.btf
  const btf = () => read ??= kernelBtf()
  return {
    args: argumentsAt(on, btf),
    field: (struct, path) => fieldOf(btf(), struct, path),
    get btf() {
      return btf()
    },
  }
}

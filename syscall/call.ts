import { type Attr, attrOf, type FieldValue, type Layout } from './attr.js'
import { SyscallError } from './error.js'
import type { Native } from './native.js'
import { command } from './uapi.js'

export type BpfCommand = keyof typeof command

/** Calls bpf() and returns what the kernel returned, or the negative errno. */
export function tryBpf(native: Native, name: BpfCommand, attr: Attr): number {
  return native.bpf(command[name], attr.bytes, attr.pointers)
}

/** The same, but throws SyscallError. */
export function bpf<Field extends string>(
  native: Native, name: BpfCommand, layout: Layout<Field>, values: Readonly<Partial<Record<Field, FieldValue | undefined>>>,
): number {
  const result = tryBpf(native, name, attrOf(layout, values))
  if (result < 0) throw new SyscallError(`bpf(BPF_${name})`, -result)
  return result
}

import { is, r1, r2 } from '../../bpf-asm/index.js'
import type { Access, Cast } from './access.js'
import { byAddress, firstSequences } from './address.js'
import type { KernelFields } from './field.js'
import { socket } from './frame.js'
import { state } from './kernel.js'
import { copying, recast } from './reading.js'
import { typed } from './typed.js'

/**
 * Copies what it reads, so it needs no types: for kprobes and raw tracepoints, and where typed access lacks something. `socket` is
 * the address of a `struct sock`.
 */
export function probed(field: KernelFields): Access {
  return byAddress(field, copying(field), undefined)
}

/** Makes typed pointers of the addresses that kprobes and raw tracepoints get, and loads through them. */
export function cast(field: KernelFields, by: Cast | undefined): Access {
  if (by === undefined) throw new Error('a cast is known by BTF alone')
  const { read, current, tgid, currentTgid, comm, copyText, textFormat, socketOf } = typed(field)
  return byAddress(field, {
    read, current, tgid, currentTgid, comm, copyText, socketOf,
    ...textFormat === undefined ? {} : { textFormat },
    refresh: () => recast(by),
    keepConnection: () => [],
    unlessSame: (_kept, otherwise) => [
      read(r1, field.state, socket),
      is.ne(r1, state.established).jump(otherwise),
      firstSequences(field, read),
      is.ne32(r1, r2).jump(otherwise),
    ],
  }, by)
}

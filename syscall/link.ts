import { cString } from './attr.js'
import { bpf } from './call.js'
import type { Descriptor, Descriptors } from './fd.js'
import type { Program } from './prog.js'
import { attachType, iterCreate, linkCreate, rawTracepoint } from './uapi.js'

/** Attaches a program that was loaded for what it is attached to: tp_btf, fentry, fexit. Detached when closed. */
export function attachTracing(descriptors: Descriptors, program: Program): Descriptor {
  return descriptors.own(bpf(descriptors.native, 'RAW_TRACEPOINT_OPEN', rawTracepoint, { prog_fd: program.fd }))
}

/** Attaches a program of type raw_tracepoint to a tracepoint by name (since Linux 4.17). */
export function attachRawTracepoint(descriptors: Descriptors, program: Program, name: string): Descriptor {
  return descriptors.own(bpf(descriptors.native, 'RAW_TRACEPOINT_OPEN', rawTracepoint, { prog_fd: program.fd, name: cString(name) }))
}

/** An iterator at work. */
export interface Iterator extends Descriptor {
  /** Lets the program run over everything, and returns what it wrote; as often as one likes. */
  read(): Uint8Array
}

/** Attaches an iterator program (since Linux 5.8), over the elements of a map where it is one of those. */
export function attachIterator(descriptors: Descriptors, program: Program, map?: Descriptor): Iterator {
  const { native } = descriptors
  const over = map && Uint8Array.from(new Uint8Array(Uint32Array.of(map.fd).buffer))
  const link = descriptors.own(bpf(native, 'LINK_CREATE', linkCreate, {
    prog_fd: program.fd, attach_type: attachType.trace_iter, ...(over === undefined ? {} : { iter_info: over, iter_info_len: over.length }),
  }))
  return {
    ...link,
    read: () => {
      const iterator = descriptors.own(bpf(native, 'ITER_CREATE', iterCreate, { link_fd: link.fd }))
      try {
        const chunks: Uint8Array[] = []
        for (;;) {
          const chunk = new Uint8Array(1 << 16)
          const length = readOn(() => native.read(iterator.fd, chunk))
          if (length === 0) return concat(chunks)
          chunks.push(chunk.subarray(0, length))
        }
      } finally {
        iterator.close()
      }
    },
  }
}

/** A million objects without output end a read with EAGAIN (bpf_seq_read in kernel/bpf/bpf_iter.c): the next goes on. */
function readOn(read: () => number): number {
  for (;;) {
    try {
      return read()
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error
    }
  }
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, 0))
  let offset = 0
  for (const chunk of chunks) {
    all.set(chunk, offset)
    offset += chunk.length
  }
  return all
}

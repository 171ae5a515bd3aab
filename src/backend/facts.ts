import type { Btf } from '../../bpf-asm/index.js'
import { type Cast, type KernelFields, fieldsOf } from '../program/index.js'
import { byName, type Places, placesOf } from '../trace/index.js'

/** What this kernel has, as far as that can be found out without privileges. */
export interface Facts extends Places {
  /** What is wrong with the kernel's own BTF, of which only a part or nothing could be used. */
  readonly damage?: string
  /** Where the kernel keeps what the programs read. Throws BtfError when something is missing. */
  field(): KernelFields
  /** Node's name of the machine, by which a kprobe finds arguments in registers. */
  readonly arch: string
  /** Whether the kernel counts the runs of kprobes that it skips: since Linux 6.7, as far as its BTF says so. */
  readonly countsKprobeMisses: boolean
  /** Absent on kernels that have none, or whose BTF is not known. */
  readonly cast?: Cast | undefined
  /** False where programs may not copy the kernel's memory (lockdown=confidentiality): typed ones then do without what needs it. */
  readonly mayCopy?: false
  /** Whether there is a helper of this name, for programs of some type. */
  helper(name: string): boolean
}

/** Tells the facts from the BTF of the running kernel and the machine it runs on. */
export function factsOf(btf: Btf, arch: string): Facts {
  return {
    ...placesOf(btf),
    field: () => fieldsOf(btf),
    arch,
    cast: castOf(btf),
    // Came with the counter (commits e2b2cd592adb and dd8657894c11); `perf_event.kprobe.missed` went into 6.6 without it.
    countsKprobeMisses: btf.findMember('bpf_link_info', 'kprobe_multi.missed') !== undefined,
    helper: name => btf.enumValue('bpf_func_id', `BPF_FUNC_${name}`) !== undefined,
  }
}

function castOf(btf: Btf): Cast | undefined {
  const [kfunc, tcpSock] = [btf.func('bpf_rdonly_cast'), btf.findStruct('tcp_sock')]
  return kfunc === undefined || tcpSock === undefined ? undefined : { kfunc: { name: 'bpf_rdonly_cast', id: kfunc.id }, tcpSock, mptcpSock: btf.findStruct('mptcp_sock') }
}

/** The facts of a kernel whose own BTF is not known, only the fields: nothing is found by its id there, but some things by their names. */
export function factsByName(field: KernelFields, arch: string): Facts {
  return { ...byName, field: () => field, arch, countsKprobeMisses: false, helper: () => false }
}

import { existsSync } from 'node:fs'
import { type Btf, parseBtf } from '../../bpf-asm/index.js'
import { contentsOf, UnsupportedError } from '../../syscall/index.js'

const path = '/sys/kernel/btf/vmlinux'

/** The running kernel's BTF, for `parseBtf`; undefined where there is none. Throws Node's error when it cannot be read. */
export function readBtf(): Uint8Array | undefined {
  return existsSync(path) ? contentsOf(path) : undefined
}

/** The same, read. Throws UnsupportedError where there is none, BtfError when it is damaged. */
export function kernelBtf(): Btf {
  const bytes = readBtf()
  if (bytes === undefined) throw new UnsupportedError('this program', 'a kernel with BTF (CONFIG_DEBUG_INFO_BTF)')
  return parseBtf(bytes)
}

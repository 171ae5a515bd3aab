import { existsSync, readFileSync } from 'node:fs'

const path = '/sys/kernel/btf/vmlinux'

/** The running kernel's BTF, for `parseBtf`; undefined where there is none. Throws Node's error when it cannot be read. */
export function readBtf(): Uint8Array | undefined {
  return existsSync(path) ? readFileSync(path) : undefined
}

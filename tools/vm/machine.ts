import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { compileFor } from '../workload/compile.js'
import type { Arch } from './archive.js'
import { fetchTree } from './tree.js'

export const archs: readonly Arch[] = ['amd64', 'arm64']

/** Builds what a guest of this architecture runs of the checkout, and returns the tree that it sees as its own. */
export function prepareFor(arch: Arch, checkout: string): string {
  compileFor(arch === 'amd64' ? 'x64' : arch)
  if (arch === 'amd64') return '/'
  execFileSync(process.execPath, [join(checkout, 'tools/build.mjs'), `--arch=${arch}`], { stdio: 'inherit' })
  return fetchTree(arch)
}

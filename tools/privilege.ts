import { spawnSync } from 'node:child_process'
import { accessSync, constants, readFileSync } from 'node:fs'
import { cgroupMount } from '../src/view/cgroup.js'
import { openKernel } from '../syscall/index.js'

/** Why programs cannot be loaded here, or undefined when they can: asked of the kernel itself, with the smallest program there is. */
export function whyUnprivileged(): string | undefined {
  const exit = Uint8Array.of(0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0)
  try {
    openKernel().loadProgram({ name: 'may_i', type: 'raw_tracepoint', insns: exit, license: 'GPL' }).close()
    return undefined
  } catch (error) {
    return `BPF programs cannot be loaded here: ${error instanceof Error ? error.message : String(error)}`
  }
}

/** Why a test cannot have a network namespace and a cgroup of its own here, or undefined when it can. */
export function whyCrowded(): string | undefined {
  const { status, stderr, error } = spawnSync('unshare', ['--net', 'ip', 'link', 'set', 'lo', 'up'], { encoding: 'utf8' })
  if (status !== 0) return `no network namespace can be made here: ${(error?.message ?? stderr).trim()}`
  const cgroups = cgroupMount(readFileSync('/proc/self/mounts', 'utf8'))
  if (cgroups === undefined) return 'cgroup v2 is not mounted here'
  try {
    accessSync(cgroups, constants.W_OK)
    return undefined
  } catch (error) {
    return `no cgroup can be made here: ${(error as Error).message}`
  }
}

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { cgroupMount } from '../../src/view/cgroup.js'
import { whyCrowded, whyUnprivileged } from '../../tools/privilege.js'

/** What a test file has for itself on a host where others are busy. */
export interface Alone {
  /** Why it has nothing, and so cannot run its tests. */
  readonly reason?: string
  /** A cgroup v2 directory: this process is in it, and whatever it starts, and nobody else. */
  readonly cgroup: string
  /** Where cgroup v2 is mounted. */
  readonly cgroups: string
}

const variable = 'TCPTOP_TEST_CGROUP'
const prefix = 'tcptop-test-'
/** Runs "$@" in the network namespace of the shell and in this cgroup. */
const enter = 'echo $$ > "$1/cgroup.procs"; shift; ip link set lo up; exec "$@"'

/**
 * Gives a test file a network namespace and a cgroup of its own. BPF programs still see the whole host, but no foreign socket takes its ports,
 * and `-c cgroup` shows what its own processes move. A test file calls it first: a process cannot change its network namespace, so the call
 * runs the file once more in there and ends with its status. Without privileges it returns the reason.
 */
export function standAlone(): Alone {
  const given = process.env[variable]
  const cgroups = cgroupMount(readFileSync('/proc/self/mounts', 'utf8')) ?? ''
  if (given !== undefined) return { cgroup: given, cgroups }
  const reason = whyUnprivileged() ?? whyCrowded()
  if (reason !== undefined) return { reason, cgroup: '', cgroups }
  removeOrphans(cgroups)
  const cgroup = join(cgroups, `${prefix}${process.pid}`)
  mkdirSync(cgroup)
  try {
    const self = [process.execPath, ...process.execArgv, ...process.argv.slice(1)]
    const { status, signal, error } = spawnSync('unshare', ['--net', 'sh', '-ec', enter, 'sh', cgroup, ...self], {
      stdio: 'inherit', env: { ...process.env, [variable]: cgroup },
    })
    if (status === null) console.log(`the test file was ended: ${error?.message ?? signal}`)
    process.exitCode = status ?? 1
  } finally {
    removeGroup(cgroup)
  }
  process.exit()
}

/** A test file that was killed could not remove its cgroup. */
function removeOrphans(cgroups: string): void {
  for (const name of readdirSync(cgroups)) {
    const pid = name.startsWith(prefix) ? name.slice(prefix.length) : undefined
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) removeGroup(join(cgroups, name))
  }
}

/** Removes a cgroup and those below it, unless something still runs there: that is for the next test file to remove. */
function removeGroup(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) if (entry.isDirectory()) removeGroup(join(folder, entry.name))
  try {
    rmdirSync(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error
  }
}

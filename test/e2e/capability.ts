import { readFileSync } from 'node:fs'
import { release } from 'node:os'
import { test } from 'uvu'
import { parseBtf } from '../../bpf-asm/index.js'
import { factsOf } from '../../src/backend/facts.js'
import { backends } from '../../src/backend/index.js'
import { makePlans, PlanError } from '../../src/backend/plan.js'
import { startSession } from '../../src/backend/session.js'
import { openKernel, SyscallError, UnsupportedError } from '../../syscall/index.js'
import { isBefore } from '../../syscall/index.js'
import { standAlone } from '../kit/alone.js'
import { unless } from '../kit/privilege.js'
import { asNobody, enough, nobody, withoutNobody } from './nobody.js'
import { asArgs, complains, run } from './outcome.js'
import { countsExactly } from './watch.js'

standAlone()

const nobodyTest = (title: string, run: () => Promise<void>) => test(title, unless(withoutNobody, title, run))

/** Before this, maps and programs are locked memory, of which nobody has little. */
const memlockCounts = isBefore(release(), '5.11')
const little = ['prlimit', '--memlock=65536:65536']
const enoughMemory = memlockCounts ? ['prlimit', '--memlock=unlimited:unlimited'] : little

for (const { args, has, lacks } of [
  { args: [], has: [], lacks: /lacks CAP_BPF and CAP_PERFMON;/ },
  { args: ['--cgroupmap', '/nowhere'], has: [], lacks: /lacks CAP_BPF and CAP_PERFMON;/ },
  { args: [], has: memlockCounts ? ['bpf', 'sys_resource'] : ['bpf'], lacks: /lacks CAP_PERFMON;/ },
  { args: [], has: ['perfmon'], lacks: /lacks CAP_BPF;/ },
]) {
  nobodyTest(`nobody with ${has.join(' and ') || 'no capability'} and "${args.join(' ')}" gets one line that names what is missing`, async () => {
    complains(await asNobody(has, ...args, '0.1', '1'), 1, 'EPERM', 'root', lacks)
  })
}

/** Why not even root can have a backend here. */
function whyRefused(backend: string): string | undefined {
  const filter = { pids: [], cgroup: false, cgroupIds: false, mntnsIds: false }
  let reason: string | undefined
  try {
    for (const plan of makePlans({ backend, filter, maxFlows: 1024 }, factsOf(parseBtf(readFileSync('/sys/kernel/btf/vmlinux')), process.arch))) {
      try {
        startSession(plan, openKernel()).close()
        return undefined
      } catch (error) {
        if (!(error instanceof SyscallError || error instanceof UnsupportedError)) throw error
        reason = error.message
      }
    }
  } catch (error) {
    if (!(error instanceof PlanError)) throw error
    reason = error.message
  }
  return `root cannot have ${backend} here either: ${reason}`
}

for (const name of backends) {
  const title = `nobody with CAP_BPF and CAP_PERFMON alone counts with ${name} what others move, or is told what that needs`
  test(title, unless(withoutNobody ?? whyRefused(name), title, async () => {
    const command = [...enoughMemory, ...nobody(...enough)]
    const paranoid = Number(readFileSync('/proc/sys/kernel/perf_event_paranoid', 'utf8'))
    if (name !== 'kprobe' || paranoid <= 2) return countsExactly(['--backend', name], command)
    // Debian's kernels want more than others'.
    const [file = '', ...rest] = [...command, ...asArgs('--backend', name, '0.1', '1')]
    complains(await run(file, rest), 1, 'perf_event_open: EACCES', 'lacks CAP_SYS_ADMIN', `kernel.perf_event_paranoid is ${paranoid}`)
    await countsExactly(['--backend', name], [...enoughMemory, ...nobody(...enough, 'sys_admin')])
  }))
}

if (memlockCounts) {
  nobodyTest('a limit of locked memory is reported, and CAP_SYS_RESOURCE raises it', async () => {
    const [file = '', ...rest] = [...little, ...nobody(...enough), ...asArgs('0.1', '1')]
    complains(await run(file, rest), 1, 'EPERM', 'lacks CAP_SYS_RESOURCE', '64 KiB (RLIMIT_MEMLOCK)', 'ulimit -l unlimited')
    await countsExactly([], [...little, ...nobody(...enough, 'sys_resource')])
  })
}

test.run()

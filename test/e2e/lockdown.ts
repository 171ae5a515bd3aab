import { readFileSync } from 'node:fs'
import { release } from 'node:os'
import { test } from 'uvu'
import { backends } from '../../src/backend/index.js'
import { isBefore } from '../../syscall/index.js'
import { standAlone } from '../kit/alone.js'
import { unless } from '../kit/privilege.js'
import { complains, tool } from './outcome.js'
import { countsExactly } from './watch.js'

const file = '/sys/kernel/security/lockdown'

/** What the kernel is locked against, or why there is nothing to test. */
function lockdown(): { readonly level?: string; readonly reason?: string } {
  try {
    const level = /\[(\w+)\]/.exec(readFileSync(file, 'utf8'))?.[1]
    return level === 'integrity' || level === 'confidentiality' ? { level } : { reason: `${file} says ${level}` }
  } catch {
    return { reason: `there is no ${file}` }
  }
}

const alone = standAlone()
const { level, reason } = lockdown()
const confidential = level === 'confidentiality'
/** Where programs read without a helper: typed, and with the helpers that came with that. */
const reads = (backend: string) => !confidential || (backend !== 'kprobe' && !isBefore(release(), '5.12'))

for (const name of [...backends, ...confidential ? ['auto'] : []]) {
  const title = `locked down, ${name} counts exactly where it may read, and else is refused in one line that names lockdown`
  test(title, unless(reason ?? alone.reason, title, async () => {
    if (reads(name)) return countsExactly(['--backend', name])
    complains(await tool('--backend', name, '0.1', '1'), 1, 'bpf_probe_read', `${file} says [confidentiality]`)
  }))
}

test.run()

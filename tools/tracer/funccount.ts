/**
 * Counts calls of kernel functions or tracepoints, like bcc's tool of this name.
 *
 *   node dist/tools/tracer/funccount.js [-p PID] [-i SECONDS] [-d SECONDS] [-T] PATTERN
 *
 *   PATTERN: functions, as 'tcp_send*', with kprobes; with t: in front tracepoints, as 't:tcp_*'; * stands for anything, ? for a character
 *   -p: only calls of this process   -i: print every so often   -d: end after so long   -T: with the time of day
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { atomicAdd, call, type Code, exit, jne, label, loadMapValue, mov, note, r0, r1, r2, rsh } from 'tcptop/bpf-asm'
import { SyscallError } from 'tcptop/syscall'
import { intervals, programAt, runTool, startTracer } from 'tcptop/trace'

/** What is attached at most, as in bcc: every point costs time to attach and to detach. */
const most = 1000
/** Seconds until forever: timers hold little more. */
const forever = 2_000_000
const cannotProbe = ['EINVAL', 'ENOENT', 'EADDRNOTAVAIL', 'EOPNOTSUPP']

const line = (name: string, count: string) => `${name.padEnd(36)} ${count.padStart(8)}`

/** Counts a call, at its place among the counts. */
const counter = (index: number, pid: number | undefined): Code => [
  pid === undefined ? [] : note('the thread group, which users call the process', call('get_current_pid_tgid'), rsh(r0, 32), jne(r0, pid, 'exit')),
  note('one more', loadMapValue(r1, 'counts', 8 * index), mov(r2, 1), atomicAdd('u64', r1, 0, r2)),
  label('exit'),
  mov(r0, 0),
  exit(),
]

/** Functions, or tracepoints, whose name matches: the kernel's symbols, of which tracepoints have one each (since Linux 5.10). */
function matching(pattern: string, kind: 'tracepoint' | 'function'): string[] {
  const glob = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll('*', '\\w*').replaceAll('?', '\\w')
  const symbol = new RegExp(`^\\S+ [tT] (${kind === 'tracepoint' ? '__traceiter_' : '(?!__pfx_|__cfi_|__traceiter_)'}${glob})(?:\\t|$)`, 'gm')
  const names = [...readFileSync('/proc/kallsyms', 'utf8').matchAll(symbol)].map(([, name = '']) => name.replace(/^__traceiter_/, ''))
  return [...new Set(names)].sort()
}

await runTool('funccount', async ({ kernel, scope, stop }) => {
  const { values, positionals: [text = ''] } = parseArgs({
    allowPositionals: true,
    options: {
      pid: { type: 'string', short: 'p' }, interval: { type: 'string', short: 'i' }, duration: { type: 'string', short: 'd' },
      timestamp: { type: 'boolean', short: 'T' },
    },
  })
  const kind = text.startsWith('t:') ? 'tracepoint' : 'function'
  const names = matching(text.replace(/^t:/, ''), kind)
  if (names.length === 0 || names.length > most) throw new Error(`${names.length} ${kind}s are like "${text}", and 1 to ${most} can be counted`)

  // Of an array with one value that has them all, a program reaches its own without a lookup.
  const counts = scope.own(kernel.createMap({ name: 'counts', type: 'array', keySize: 4, valueSize: 8 * names.length, maxEntries: 1 }))
  const refused = names.filter((name, index) => {
    const on = kind === 'tracepoint' ? { rawTracepoint: name } : { kprobe: name }
    const program = programAt('funccount', on, counter(index, values.pid === undefined ? undefined : Number(values.pid)))
    try {
      return !scope.own(startTracer(kernel, { maps: [], programs: [program] }, { maps: { counts } }))
    } catch (error) {
      // Some functions take no probe: the kernel's own, and those of whose name there are several.
      if (error instanceof SyscallError && names.length > 1 && cannotProbe.includes(error.code)) return true
      throw error
    }
  })
  const except = refused.length > 0 ? `, not ${refused.join(', ')}` : ''
  console.log(`Tracing ${names.length - refused.length} ${kind}s for "${text}"${except}... Hit Ctrl-C to end.`)

  let before = names.map(() => 0n)
  const duration = Number(values.duration ?? forever)
  const interval = Number(values.interval ?? duration)
  for await (const _ of intervals(interval, { count: Math.ceil(duration / interval), stop })) {
    const view = new DataView(counts.lookup(new Uint8Array(4))!.buffer)
    const now = names.map((_, index) => view.getBigUint64(8 * index, true))
    const calls = names.map((name, index) => ({ name, count: now[index]! - before[index]! })).filter(({ count }) => count > 0n)
    before = now
    console.log(values.timestamp ? `\n${new Date().toTimeString().slice(0, 8)}` : '')
    console.log(line('FUNC', 'COUNT'))
    for (const { name, count } of calls.sort((a, b) => a.count < b.count ? -1 : 1)) console.log(line(name, String(count)))
  }
})

#!/usr/bin/env node
/**
 * Counts calls of kernel functions or tracepoints, like bcc's tool of this name. `-h` lists the options.
 *
 *   node dist/tools/tracer/funccount.js [-p PID] [-i SECONDS] [-d SECONDS] [-T] [-r] PATTERN
 */
import { readdirSync, readFileSync } from 'node:fs'
import { type Code, leave, loadMapValue, mov, note, r1, r2, record } from 'tcptop/bpf-asm'
import { SyscallError } from 'tcptop/syscall'
import { intervals, pidNamespace, type Point, programAt, runTool, startTracer, whenProcess } from 'tcptop/trace'
import { commandLine, quoted, seconds, UsageError, whole } from './command.js'

/** What is attached at most, as in bcc: every point costs time to attach and to detach. */
const most = 1000
/** Seconds until forever: timers hold little more. */
const forever = 2_000_000
const cannotProbe = ['EINVAL', 'ENOENT', 'EADDRNOTAVAIL', 'EOPNOTSUPP']

const line = (name: string, count: string) => `${name.padEnd(36)} ${count.padStart(8)}`

/** Counts a call, in one of the words of the map's only value. */
function counter(index: number, pid: number | undefined): Code {
  const word = record({ count: 'u64' }).in(r1).count
  const counting = [note('one more', loadMapValue(r1, 'counts', 8 * index)), mov(r2, 1), word.add(r2)]
  return [
    pid === undefined ? counting : whenProcess(pid, pidNamespace(), counting),
    leave(),
  ]
}

/** What is to be counted. */
interface Target {
  readonly kind: 'function' | 'tracepoint'
  /** Of a tracepoint, its group in tracefs; any without. */
  readonly group: RegExp | undefined
  readonly name: RegExp
}

/** `tcp_*`, `t:tcp_*`, `t:sock:inet_*`, and with `isRegular` regular expressions in place of the patterns. Throws UsageError. */
function targetOf(text: string, isRegular: boolean): Target {
  const [, prefix, group, name = ''] = /^(?:([a-z]?):(?:([^:]*):)?)?(.*)$/s.exec(text) ?? []
  if (prefix !== undefined && !['t', 'p', ''].includes(prefix)) throw new UsageError(`a pattern is of functions or, with t: before it, of tracepoints, got ${quoted(text)}`)
  if (prefix !== 't' && group !== undefined && group !== '') throw new UsageError(`only functions of the kernel itself can be counted, got ${quoted(text)}`)
  const matching = (pattern: string) => {
    if (!isRegular) return new RegExp(`^${pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*').replaceAll('?', '.')}$`)
    try {
      return new RegExp(pattern)
    } catch (error) {
      throw new UsageError(`${quoted(pattern)} is no regular expression: ${(error as Error).message.replace(/.*: /, '')}`)
    }
  }
  return { kind: prefix === 't' ? 'tracepoint' : 'function', group: group === undefined || group === '' ? undefined : matching(group), name: matching(name) }
}

/** Names of functions or tracepoints: the kernel's symbols, of which each tracepoint has one (since Linux 5.10), or tracefs, which knows their groups. */
function matching({ kind, group, name }: Target): string[] {
  const names = group === undefined ? symbols(kind) : grouped(group)
  return [...new Set(names)].filter(found => name.test(found)).sort()
}

function symbols(kind: Target['kind']): string[] {
  const named = [...readFileSync('/proc/kallsyms', 'utf8').matchAll(/^\S+ [tT] ([^\s[]+)(?=\t|$)/gm)].map(([, symbol = '']) => symbol)
  const iterator = '__traceiter_'
  if (kind === 'function') return named.filter(symbol => !/^(__pfx_|__cfi_|__traceiter_)/.test(symbol))
  return named.filter(symbol => symbol.startsWith(iterator)).map(symbol => symbol.slice(iterator.length))
}

const tracefs = ['/sys/kernel/tracing/events', '/sys/kernel/debug/tracing/events'] as const

function grouped(group: RegExp): string[] {
  for (const folder of tracefs) {
    try {
      const groups = readdirSync(folder, { withFileTypes: true }).filter(entry => entry.isDirectory() && group.test(entry.name))
      return groups.flatMap(({ name }) => readdirSync(`${folder}/${name}`, { withFileTypes: true }).filter(entry => entry.isDirectory()).map(({ name }) => name))
    } catch {
      continue
    }
  }
  throw new Error('groups of tracepoints are read from tracefs, which is not mounted here: mount -t tracefs nodev /sys/kernel/tracing, or omit the group')
}

const settings = commandLine({
  name: 'funccount',
  summary: 'Counts calls of kernel functions, with kprobes, or of tracepoints',
  argument: { name: 'PATTERN', help: "'tcp_send*', 't:tcp_*' or 't:sock:*'; * is anything, ? a character" },
  options: {
    pid: { short: 'p', value: 'PID', help: 'only calls of this process' },
    interval: { short: 'i', value: 'SECONDS', help: 'print every so often' },
    duration: { short: 'd', value: 'SECONDS', help: 'end after so long' },
    timestamp: { short: 'T', help: 'with the time of day' },
    regexp: { short: 'r', help: 'PATTERN is a regular expression' },
  },
}, given => {
  if (given.argument === undefined) throw new UsageError('PATTERN is missing: which functions are to be counted?')
  const duration = seconds(given, 'duration') ?? forever
  return {
    text: given.argument,
    target: targetOf(given.argument, given.options.regexp !== undefined),
    pid: whole(given, 'pid', 1, 4_194_304),
    duration,
    interval: seconds(given, 'interval') ?? duration,
    isTimed: given.options.timestamp !== undefined,
  }
})

await runTool('funccount', async ({ kernel, scope, stop }) => {
  const { text, target, pid, duration, interval, isTimed } = settings
  const { kind } = target
  const names = matching(target)
  if (names.length === 0 || names.length > most) throw new Error(`${names.length} ${kind}s are like ${quoted(text)}, and 1 to ${most} can be counted`)

  // Of an array with one value that has them all, a program reaches its own without a lookup.
  const counts = scope.own(kernel.createMap({ name: 'counts', type: 'array', keySize: 4, valueSize: 8 * names.length, maxEntries: 1 }))
  const refused = names.filter((name, index) => {
    const on: Point = kind === 'tracepoint' ? { rawTracepoint: name } : { kprobe: name }
    const program = programAt('funccount', on, counter(index, pid))
    try {
      return !scope.own(startTracer(kernel, { maps: [], programs: [program] }, { maps: { counts } }))
    } catch (error) {
      // Some functions take no probe: the kernel's own, and those of whose name there are several.
      if (error instanceof SyscallError && names.length > 1 && cannotProbe.includes(error.code)) return true
      throw error
    }
  })
  const except = refused.length > 0 ? `, not ${refused.join(', ')}` : ''
  console.log(`Tracing ${names.length - refused.length} ${kind}s for ${quoted(text)}${except}... Hit Ctrl-C to end.`)

  let before = names.map(() => 0n)
  for await (const _ of intervals(interval, { count: Math.ceil(duration / interval), stop })) {
    const view = new DataView(counts.lookup(new Uint8Array(4))!.buffer)
    const now = names.map((_, index) => view.getBigUint64(8 * index, true))
    const calls = names.map((name, index) => ({ name, count: now[index]! - before[index]! })).filter(({ count }) => count > 0n)
    before = now
    console.log(isTimed ? `\n${new Date().toTimeString().slice(0, 8)}` : '')
    console.log(line('FUNC', 'COUNT'))
    for (const { name, count } of calls.sort((a, b) => a.count < b.count ? -1 : 1)) console.log(line(name, String(count)))
  }
})

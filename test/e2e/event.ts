import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { test as uvu } from 'uvu'
import * as assert from 'uvu/assert'
import { call, exit, fetchAdd, jne, label, load, loadImm64, loadMapValue, mov, r0, r1, r10, r2, r6, rsh, store } from '../../bpf-asm/index.js'
import { emit, eventMaps, eventsOf, programAt, startTracer } from '../../src/trace/index.js'
import { openKernel } from '../../syscall/index.js'
import { standAlone } from '../kit/alone.js'
import { unless } from '../kit/privilege.js'

/** The number of getppid(); undefined on machines of other kinds. */
const getppid = { x64: 110, arm64: 173 }[process.arch as string]
const alone = standAlone()
const reason = alone.reason ?? (getppid === undefined ? 'the number of getppid() is not known here' : undefined)
const test = (title: string, run: () => Promise<void>) => uvu(title, unless(reason, title, run))

/** Sends which of our own processes called, and the number of the call over all. */
const program = programAt('ask_parent', { rawTracepoint: 'sys_enter' }, [
  load(r1, 'u64', r1, 8),
  jne(r1, getppid ?? 0, 'exit'),
  call('get_current_cgroup_id'),
  loadImm64(r1, alone.reason === undefined ? statSync(alone.cgroup, { bigint: true }).ino : 0n),
  jne(r0, r1, 'exit'),
  call('get_current_pid_tgid'),
  rsh(r0, 32),
  mov(r6, r0),
  loadMapValue(r1, 'calls', 0),
  mov(r2, 1),
  fetchAdd('u64', r1, 0, r2),
  store('u64', r10, -16, r6),
  store('u64', r10, -8, r2),
  emit('asked', -16),
  label('exit'),
  mov(r0, 0),
  exit(),
])

/** Calls getppid() so often. */
const caller = (times: number) => spawn(process.execPath, ['-e', `for (let left = ${times}; left > 0; left--) process.ppid`])

async function trace(room: number, times: number, read: (take: () => void) => Promise<void>) {
  const kernel = openKernel()
  const calls = { name: 'calls', type: 'array', keySize: 4, valueSize: 8, maxEntries: 1 } as const
  const tracer = startTracer(kernel, { maps: [...eventMaps('asked', 16, room), calls], programs: [program] })
  try {
    const events = eventsOf(tracer, 'asked')
    const met = new Map<number, number[]>()
    const take = () => {
      for (const event of events.take()) {
        const pid = Number(event.getBigUint64(0, true))
        met.set(pid, [...met.get(pid) ?? [], Number(event.getBigUint64(8, true))])
      }
    }
    const callers = [caller(times), caller(times)]
    await read(take).then(() => Promise.all(callers.map(child => child.exitCode ?? once(child, 'close'))))
    take()
    const ours = callers.flatMap(({ pid = 0 }) => [met.get(pid) ?? []])
    const total = Number(new DataView(tracer.map('calls').lookup(new Uint8Array(4))!.buffer).getBigUint64(0, true))
    return { ours, all: [...met.values()].flat(), total, lost: events.lost(), lostSince: events.lost() }
  } finally {
    tracer.close()
    assert.is(kernel.open, 0)
  }
}

test('events that two CPUs send at once are not lost, doubled or reordered within a process while the queue has space', async () => {
  const { ours, all, total, lost } = await trace(65_536, 5_000, async () => {})
  assert.is(lost, 0)
  assert.is(all.length, total)
  assert.is(new Set(all).size, total)
  for (const calls of ours) {
    assert.ok(calls.length >= 5_000)
    assert.equal(calls, [...calls].sort((a, b) => a - b))
  }
})

test('events that do not fit are counted and reported once, while others are taken', async () => {
  const { all, total, lost, lostSince } = await trace(64, 20_000, async take => {
    for (let turn = 0; turn < 20; turn++) {
      await sleep(10)
      take()
    }
  })
  assert.ok(all.length > 0 && lost > 0, `${all.length} of ${total} came, ${lost} were lost`)
  assert.is(new Set(all).size, all.length)
  assert.is(all.length + lost, total)
  assert.is(lostSince, 0)
})

uvu.run()

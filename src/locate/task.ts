import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import type { KernelMemory } from './kernel-memory.js'
import type { KnownTask, Snapshot } from './pin.js'

/** A thread of ours, under a name that it has for the time being. */
export interface Thread {
  readonly id: string
  readonly name: string
}

/** More than the bytes of any `struct task_struct` up to what is looked for. */
const taskSize = 8192
/** How many threads are looked at. */
const enough = 3

const file = (id: string, name: string) => `/proc/self/task/${id}/${name}`

/**
 * Gives threads of this process names that begin with `prefix`, the leader's first and the current one's among them; lets `act`, and gives
 * them their own back.
 */
export function renaming<Result>(prefix: string, act: (threads: readonly Thread[]) => Result): Result {
  const [leader, current] = [readlinkSync('/proc/self'), basename(readlinkSync('/proc/thread-self'))]
  const ids = [...new Set([leader, current, ...readdirSync('/proc/self/task')])].slice(0, enough)
  const before = ids.map(id => [id, readFileSync(file(id, 'comm'), 'utf8').trimEnd()] as const)
  try {
    return act(ids.map((id, index) => {
      const name = `${prefix}-${index}`
      rename({ id, name })
      return { id, name }
    }))
  } finally {
    for (const [id, name] of before) rename({ id, name })
  }
}

/** Looks at the threads. */
export function lookAtTasks(memory: KernelMemory, threads: readonly Thread[]): Snapshot<KnownTask>[] {
  const tasks = threads.map(thread => ({ thread, ...memory.taskOf(() => rename(thread)) }))
  const leader = tasks[0]!.address
  return tasks.map(({ thread: { id, name }, address, tgid }) =>
    ({ bytes: memory.read([{ address, size: taskSize }])[0]!, known: { tgid, leader, name, flags: flagsOf(id) } }))
}

function rename({ id, name }: Thread): void {
  writeFileSync(file(id, 'comm'), name)
}

/** The ninth field of stat; the second is the name in parentheses. */
function flagsOf(id: string): number {
  const stat = readFileSync(file(id, 'stat'), 'utf8')
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[6])
}

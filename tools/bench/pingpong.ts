import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const source = fileURLToPath(new URL('../../../tools/bench/pingpong.c', import.meta.url))
const program = fileURLToPath(new URL('../../bench/pingpong', import.meta.url))

/** Compiles the program, to be run here and in guests. */
export function compilePingpong(): void {
  mkdirSync(dirname(program), { recursive: true })
  execFileSync('gcc', ['-std=gnu11', '-O1', '-pthread', '-o', program, source], { stdio: 'inherit' })
}

/** Connections with nothing to do. */
export interface Pingpong {
  readonly pid: number
  /** Moves a byte back and forth so many times, which is 4 events each; resolves with the nanoseconds it took. */
  run(roundTrips: number): Promise<number>
  close(): void
}

/** Sends and receives of a round trip. */
export const eventsPerTrip = 4

/** `steady`: see pingpong.c. */
export async function openPingpong(connections: number, ...how: readonly 'steady'[]): Promise<Pingpong> {
  const child = spawn(program, [`${connections}`, ...how], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async () => {
    const { value, done } = await lines.next()
    if (done === true) throw new Error('pingpong has ended')
    return Number(value)
  }
  return {
    pid: await next(),
    run: trips => {
      child.stdin.write(`${trips}\n`)
      return next()
    },
    close: () => child.stdin.end(),
  }
}

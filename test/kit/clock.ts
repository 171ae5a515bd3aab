import type { HostClock } from '../../src/frame/frames.js'

/** A clock that only moves when somebody sleeps, or as a test says. */
export function fakeClock() {
  let now = 100
  const watchers = new Set<() => void>()
  const clock: HostClock = {
    now: () => now,
    cpu: () => now / 4,
    date: () => new Date(now * 1000),
    loadavg: () => '0.00 0.00 0.00 1/1 1',
    sleep: async (seconds, signal) => {
      if (!signal.aborted && seconds > 0) now += seconds
    },
    every: (_, callback) => {
      watchers.add(callback)
      return () => watchers.delete(callback)
    },
  }
  const pass = (seconds: number) => (now += seconds)
  const tick = () => watchers.forEach(watch => watch())
  return { clock, pass, tick, watchers }
}

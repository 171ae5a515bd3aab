import { type Frame, missedText, type Sink } from '../frame/index.js'

/** CPU seconds used so far, and bytes of memory now, which only /proc shows. */
export interface Usage {
  readonly cpu: number
  readonly rss: number | undefined
}

/** Prints a line under each frame about what it cost. */
export function costs(usage: () => Usage, log: (line: string) => void): Sink {
  return { frame: async frame => log(costText(frame, usage())) }
}

function costText({ missed, flows, cost: { cpu, drain, runs, run } }: Frame, total: Usage): string {
  return [
    `flows ${flows}`,
    `cpu ${(100 * cpu).toFixed(1)} %, ${total.cpu.toFixed(3)} s in all`,
    `drain ${(1000 * drain).toFixed(1)} ms`,
    ...runs === null || run === null ? [] : [`programs ran ${runs} times, ${(1000 * run).toFixed(1)} ms`],
    `memory ${total.rss === undefined ? 'unknown' : `${(total.rss / 1024 / 1024).toFixed(1)} MiB`}`,
    ...missed === null || missed === 0 ? [] : [missedText(missed)],
  ].join(', ')
}

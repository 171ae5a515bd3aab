import type { Sink, Sort } from '../frame/index.js'
import type { Size } from '../host/index.js'
import type { Format } from './format.js'
import { type Grouping, withHidden } from './grouping.js'

/** Where text goes. */
export interface Output {
  readonly isTerminal: boolean
  /** Lines and columns of the terminal now; undefined when it does not say. */
  size(): Size | undefined
  /** Resolves when all is written; rejects with EPIPE when the reader has closed it. */
  write(text: string): Promise<void>
}

/** How frames are printed. */
export interface Printing {
  readonly format: Format
  readonly grouping: Grouping
  readonly sort: Sort
  /** At most so many rows in each table. */
  readonly rows?: number
  /** Seconds between frames, as the user wrote them. */
  readonly intervalText: string
  /** Whether the load average is wanted. */
  readonly summary: boolean
}

/** Prints each frame as text. Says once that there is no load average to show. */
export function printed({ format, grouping, sort, rows = Infinity, intervalText, summary }: Printing, out: Output, log: (line: string) => void): Sink {
  let isReported = false
  return {
    start: () => out.write(format.start({ intervalText, grouping })),
    frame: async frame => {
      if (frame.loadavg === null && summary && !isReported) {
        log('tcptop: /proc/loadavg cannot be read: the summary line is skipped')
        isReported = true
      }
      const shape = format.hidden ? withHidden(grouping) : grouping
      await out.write(format.frame({ ...frame, rows: frame.pick({ grouping: shape, sort, limit: rows }) }, { summary, grouping }))
    },
  }
}

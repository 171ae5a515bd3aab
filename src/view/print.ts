import type { Sink, Sort } from '../frame/index.js'
import type { Format } from './format.js'
import { type Grouping, withHidden } from './grouping.js'

/** Where text goes. */
export interface Output {
  readonly isTerminal: boolean
  /** Lines and columns of the terminal now; undefined when it does not tell. */
  size(): { readonly rows: number; readonly columns: number } | undefined
  /** Resolves when all is written; rejects with EPIPE when nobody reads any more. */
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
  /** Whether the screen is cleared for each frame: then no more is printed than fits, with so many lines left for others. */
  readonly clear: boolean
  readonly spare: number
}

/** Prints each frame as text. Says once that there is no load average to show. */
export function printed({ format, grouping, sort, rows = Infinity, intervalText, summary, clear, spare }: Printing, out: Output, tell: (line: string) => void): Sink {
  let isReported = false
  /** What fits; a terminal may change its size. */
  const screen = () => {
    const size = clear ? out.size() : undefined
    return size && { ...size, rows: size.rows - spare }
  }
  return {
    start: () => out.write(format.start({ intervalText, grouping })),
    frame: async frame => {
      if (frame.loadavg === null && summary && !isReported) {
        tell('tcptop: /proc/loadavg cannot be read: the summary line is left out')
        isReported = true
      }
      const size = screen()
      const shown = frame.pick({ grouping: format.hidden ? withHidden(grouping) : grouping, sort, limit: Math.min(rows, size?.rows ?? Infinity) })
      await out.write(format.frame({ ...frame, rows: shown }, { clear, ...size, summary, grouping }))
    },
  }
}

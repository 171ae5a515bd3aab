import type { Shown } from '../frame/index.js'
import type { Grouping } from './grouping.js'

/** What is known before the first frame. */
export interface Heading {
  /** Seconds between frames, as the user wrote them. */
  readonly intervalText: string
  readonly grouping: Grouping
}

/** How a frame is to be printed. */
export interface Presentation {
  readonly grouping: Grouping
  /** Whether the load average is wanted. */
  readonly summary: boolean
}

/** A way to print frames: pure functions from a frame to text that ends a line. */
export interface Format {
  readonly name: string
  /** For the help. */
  readonly description: string
  /** Whether it is meant for eyes: on a terminal the live screen takes its place. */
  readonly isForEyes: boolean
  /** Whether rows must also have the fields that distinguish them and are not shown: `withHidden`. */
  readonly hidden?: boolean
  /** What is printed once, before the first frame; may be empty. */
  start(heading: Heading): string
  frame(frame: Shown, presentation: Presentation): string
}

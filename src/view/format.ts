import type { Shown } from '../frame/index.js'
import type { Grouping } from './grouping.js'

/** What is known before the first frame. */
export interface Heading {
  /** Seconds between frames, as the user wrote them. */
  readonly intervalText: string
  readonly grouping: Grouping
}

/** How a frame is to be shown. */
export interface Screen {
  readonly grouping: Grouping
  /** Whether to clear the terminal first. */
  readonly clear: boolean
  /** Lines and columns of the terminal: with `rows`, no more is shown than fits. */
  readonly rows?: number | undefined
  readonly columns?: number | undefined
  /** Whether the load average is wanted. */
  readonly summary: boolean
}

/** A way to print frames: pure functions from a frame to text that ends a line. */
export interface Format {
  readonly name: string
  /** For the help. */
  readonly description: string
  /** Whether it is meant for eyes: only then a terminal is cleared and rows are cut to fit it. */
  readonly fullScreen: boolean
  /** Whether rows must also have what they are told apart by and do not show: `withHidden`. */
  readonly hidden?: boolean
  /** What is printed once, before the first frame; may be empty. */
  start(heading: Heading): string
  frame(frame: Shown, screen: Screen): string
}

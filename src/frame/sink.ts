import type { Frame } from './frame.js'

/** What takes frames, wherever they come from. Each call is awaited before the next. */
export interface Sink {
  /** Before the first frame. */
  start?(): Promise<void>
  frame(frame: Frame): Promise<void>
  /** After the last frame, unless something failed. */
  end?(): Promise<void>
}

/** Hands all frames of a source to the sinks, to each in turn. Throws what the source or a sink throws, and takes no frame after that. */
export async function pour(frames: AsyncIterable<Frame>, sinks: readonly Sink[]): Promise<void> {
  for (const sink of sinks) await sink.start?.()
  for await (const frame of frames) for (const sink of sinks) await sink.frame(frame)
  for (const sink of sinks) await sink.end?.()
}

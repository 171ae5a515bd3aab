import type { RecordedFrame } from './frame.js'
import type { Recording } from './recording.js'

/** A place in a recording, which moves by frames and to times: what a screen shows of it. One member is held in memory. */
export class Cursor {
  #member: number
  #index = 0
  #frames: readonly RecordedFrame[] = []

  /** Begins before the first frame. */
  constructor(readonly recording: Recording) {
    this.#member = -1
  }

  /** The frame here; undefined before the first one and in a recording that has none. */
  get frame(): RecordedFrame | undefined {
    return this.#frames[this.#index]
  }

  /** The next frame; undefined at the end, where the place stays. */
  next(): RecordedFrame | undefined {
    if (this.#index + 1 < this.#frames.length) return this.#frames[++this.#index]
    for (let member = this.#member + 1; member < this.recording.members; member++) if (this.#load(member)) return this.frame
    return undefined
  }

  /** The frame before; undefined at the beginning, where the place stays. */
  previous(): RecordedFrame | undefined {
    if (this.#index > 0) return this.#frames[--this.#index]
    for (let member = this.#member - 1; member >= 0; member--) {
      if (!this.#load(member)) continue
      this.#index = this.#frames.length - 1
      return this.frame
    }
    return undefined
  }

  /** Goes to the first frame that ended at that time or later: the one whose bytes were moved then; or to the last one. */
  seek(time: Date): RecordedFrame | undefined {
    for (let member = this.recording.memberAt(time); member < this.recording.members; member++) {
      if (!this.#load(member)) continue
      this.#index = this.#frames.findIndex(frame => frame.time >= time)
      if (this.#index >= 0) return this.frame
    }
    for (let member = this.recording.members - 1; member >= 0; member--) {
      if (!this.#load(member)) continue
      this.#index = this.#frames.length - 1
      return this.frame
    }
    return undefined
  }

  /** Whether the member has frames; only then the place is its first one. */
  #load(member: number): boolean {
    const frames = member === this.#member ? this.#frames : this.recording.member(member)
    if (frames.length === 0) return false
    this.#member = member
    this.#frames = frames
    this.#index = 0
    return true
  }
}

import type { Native } from './native.js'

/** A descriptor that somebody owns. */
export interface Descriptor {
  readonly fd: number
  /** Gives it back; once is enough, more often does no harm. */
  close(): void
}

/** All descriptors of a kernel that is talked to, counted so that leaks show. */
export class Descriptors {
  #open = 0

  constructor(readonly native: Native) {}

  /** Descriptors that are not closed yet. */
  get open(): number {
    return this.#open
  }

  own(fd: number): Descriptor {
    this.#open++
    let closed = false
    return {
      fd,
      close: () => {
        if (closed) return
        closed = true
        this.#open--
        this.native.close(fd)
      },
    }
  }
}

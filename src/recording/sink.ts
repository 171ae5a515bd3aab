import type { Sink, View } from '../frame/index.js'
import type { Recorder } from './recorder.js'

/** Records frames, with the rows of a view. The caller that opened the recorder closes it, also after an error. */
export function recorded(recorder: Recorder, view: View): Sink {
  return {
    frame: frame => {
      const { pick: _, ...rest } = frame
      return recorder.write({ ...rest, rows: frame.pick(view) })
    },
  }
}

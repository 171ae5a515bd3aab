import { fentryAtReturn } from './fentry.js'
import { fentryAtRelease, kprobeAtRelease, kprobeCastAtRelease } from './release.js'
import { rawTracepointAtPacket, tracepointAtCall, tracepointAtPacket } from './tracepoint.js'
import type { Variant } from './variant.js'

/**
 * All variants, in the order in which `auto` tries them: first the most accurate in attributing bytes to processes, then the cheapest
 * (`npm run bench`). A new variant is its entry here.
 */
export const variants: readonly Variant[] = [
  fentryAtReturn,
  tracepointAtCall,
  fentryAtRelease,
  kprobeCastAtRelease,
  kprobeAtRelease,
  tracepointAtPacket,
  rawTracepointAtPacket,
]

/** The names of the backends, in alphabetical order, in which users read them. */
export const backends: readonly string[] = [...new Set(variants.map(({ backend }) => backend))].sort()

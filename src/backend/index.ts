import type { Backend } from './backend.js'
import { fentry } from './fentry.js'
import { kprobe } from './kprobe.js'
import { tracepoint } from './tracepoint.js'

export { type Backend, type Hook, of5_12, type Part, type Variant } from './backend.js'

/** All backends. */
export const backends: readonly Backend[] = [fentry, kprobe, tracepoint]

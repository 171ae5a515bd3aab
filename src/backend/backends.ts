import type { Backend } from './backend.js'
import { fentry } from './fentry.js'
import { kprobe } from './kprobe.js'
import { tracepoint } from './tracepoint.js'

/** All backends. */
export const backends: readonly Backend[] = [fentry, kprobe, tracepoint]

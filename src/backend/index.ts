import type { Backend } from './backend.js'
import { tracepoint } from './tracepoint.js'

export type { Backend, Hook } from './backend.js'

/** All backends, the preferred one first. */
export const backends: readonly Backend[] = [tracepoint]

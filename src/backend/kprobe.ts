import type { Backend } from './backend.js'
import { atRelease, castAtRelease } from './release.js'

/** A kprobe at an entry: where ftrace has no fentry, as on arm64 before Linux 6.4. No return probes, for those miss returns. */
export const kprobe: Backend = {
  name: 'kprobe',
  variants: [
    castAtRelease(kprobe => ({ kprobe }), 'Linux 6.2 with BTF and CONFIG_KPROBE_EVENTS', 4),
    atRelease(kprobe => ({ kprobe }), 'Linux 5.5 with CONFIG_KPROBE_EVENTS', 5),
  ],
}

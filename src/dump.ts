import { listing } from '../bpf-asm/index.js'
import type { Plan } from './plan.js'
import { pointName } from './trace/index.js'

/** The maps and the annotated programs of a plan, as they would be given to the kernel. */
export function dump({ backend, maps, programs }: Plan): string {
  const lines = [
    `; backend ${backend.name}`,
    ...maps.map(({ name, type, keySize, valueSize, maxEntries }) =>
      `; map ${name}: ${type}, key ${keySize} bytes, value ${valueSize} bytes, ${maxEntries} entries`),
    ...programs.map(({ name, hook, assembly }) =>
      `\n; program ${name} at ${pointName(hook)}, ${assembly.slots} instructions\n${listing(assembly).trimEnd()}`),
  ]
  return `${lines.join('\n')}\n`
}

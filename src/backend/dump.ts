import { type Line, lines, listing, placed, placeOf } from '../../bpf-asm/index.js'
import type { ProgramInfo } from '../../syscall/index.js'
import { jsonText, pointName } from '../trace/index.js'
import type { Plan } from './plan.js'
import type { SourceOf } from './source.js'

/** What the kernel says of a plan's programs once it has taken them, in their order. */
export type Loaded = readonly Pick<ProgramInfo, 'verifiedInsns' | 'jitedSize'>[]

/** The maps and the annotated programs of a plan, as they would be given to the kernel. */
export function dump({ variant, maps, programs }: Plan, loaded?: Loaded): string {
  const out = [
    `; backend ${variant.backend}`,
    ...maps.map(({ name, type, keySize, valueSize, maxEntries }) =>
      `; map ${name}: ${type}, key ${keySize} bytes, value ${valueSize} bytes, ${maxEntries} entries`),
    ...programs.map(({ name, hook, assembly }, index) => {
      const size = [
        [assembly.slots, 'instructions'],
        [loaded?.[index]?.verifiedInsns, 'verified'],
        [loaded?.[index]?.jitedSize, 'bytes of machine code'],
      // Before Linux 5.16, and where there is no JIT, there is a 0.
      ].flatMap(([count, what]) => count ? [`${count} ${what}`] : [])
      return `\n; program ${name} at ${pointName(hook)}, ${size.join(', ')}\n${listing(assembly).trimEnd()}`
    }),
  ]
  return `${out.join('\n')}\n`
}

/** The same as an object for other programs, on one line; with the line of source that each instruction was made by. */
export function dumpJson({ variant, maps, programs }: Plan, sourceOf: SourceOf, loaded?: Loaded): string {
  const object = {
    v: 1,
    backend: variant.backend,
    maps: maps.map(({ name, type, keySize, valueSize, maxEntries }) => ({ name, type, keySize, valueSize, maxEntries })),
    programs: programs.map(({ name, hook, type, assembly }, index) => ({
      name,
      hook: pointName(hook),
      type,
      slots: assembly.slots,
      ...(loaded && { verified: loaded[index]?.verifiedInsns, jited: loaded[index]?.jitedSize }),
      insns: lines(placed(assembly)).map(line => insnOf(line, sourceOf)),
    })),
  }
  return `${jsonText(object)}\n`
}

function insnOf({ slot, labels, text, note, insn }: Line, sourceOf: SourceOf) {
  const source = placeOf(insn, sourceOf)
  return { slot, ...(labels.length > 0 && { labels }), text, note, ...(source && { file: source.file, line: source.line }) }
}

import { readdirSync, readFileSync } from 'node:fs'

/** Up from dist/test/. */
const folder = new URL('../../test/fixture/btf/', import.meta.url)

/** The small BTFs that tools/btf-fixture.ts made, by the kernel's version and architecture. */
export const btfFixtures: readonly { readonly name: string; readonly bytes: Uint8Array }[] = readdirSync(folder)
  .filter(file => file.endsWith('.btf'))
  .sort()
  .map(file => ({ name: file.replace(/\.btf$/, ''), bytes: readFileSync(new URL(file, folder)) }))

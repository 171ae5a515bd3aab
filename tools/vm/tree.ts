import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Arch, cached, openArchive } from './archive.js'

/** What runs the tool and its tests; base-files has the links that make /bin and /usr/bin one. */
const packages = ['base-files', 'coreutils', 'dash', 'mount', 'nodejs', 'util-linux']

/** Fetches the files of a system of this architecture, or finds them in the cache: unpacked, never installed. */
export function fetchTree(arch: Arch): string {
  return cached(`tree-${arch}`, folder => {
    const archive = openArchive(arch)
    archive.unpack(archive.closure(packages), folder)
    for (const path of ['bin/sh', 'bin/node']) if (!existsSync(join(folder, path))) throw new Error(`the packages for ${arch} have no ${path}`)
  })
}

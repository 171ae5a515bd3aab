import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { basename, join } from 'node:path'
import { type Arch, cached, openArchive } from './archive.js'

/** The kernels of the matrix, oldest first: the newest package of each that Debian still has. */
export const releases = ['5.10', '6.1', '6.12', '6.18', '7.3'] as const
export type Release = typeof releases[number]

/** A kernel that can be booted. */
export interface GuestKernel {
  readonly release: string
  readonly arch: Arch
  /** As `uname -r` says it. */
  readonly version: string
  readonly image: string
  /** An archive for the kernel to start from: busybox, modules, and the init script. */
  readonly initramfs: string
}

/** What the guest needs to reach the host's files, and what some cases need; modules that a kernel has built in, or lacks, are skipped. */
const modules = [
  'virtio_pci', 'virtio_mmio', '9pnet_virtio', '9p', 'overlay',
  'gf128mul', 'ghash-generic', 'ghash_generic', 'ctr', 'geniv', 'seqiv', 'gcm', 'aes_generic', 'tls',
]

/** Fetches a kernel, or finds it in the cache. Throws when Debian has none of this release. */
export function fetchKernel(release: string, arch: Arch): GuestKernel {
  const packages = cached(`linux-${release}-${arch}`, folder => {
    const archive = openArchive(arch)
    const wanted = new RegExp(`^linux-image-${release.replace('.', '\\.')}\\.\\d+(-\\d+|\\+deb\\d+)-${arch}$`)
    const natural = new Intl.Collator('en', { numeric: true })
    const name = archive.names(`linux-image-${release}.`).filter(name => wanted.test(name)).sort(natural.compare).at(-1)
    if (name === undefined) throw new Error(`Debian has no Linux ${release} for ${arch}`)
    // Since 6.17 or so the files are in packages of their own.
    archive.unpack([name, ...archive.dependencies(name, /^linux-(binary|modules|base)-\d/)], folder)
  })
  const boot = [join(packages, 'boot'), join(packages, 'usr/lib/modules')].flatMap(list)
  const image = boot.find(path => /\/vmlinuz/.test(path)) ?? boot.flatMap(list).find(path => /\/vmlinuz/.test(path))
  const library = [join(packages, 'lib/modules'), join(packages, 'usr/lib/modules')].flatMap(list)[0]
  if (image === undefined || library === undefined) throw new Error(`no kernel in the packages of Linux ${release}`)
  const script = readFileSync(new URL('../../../tools/vm/init.sh', import.meta.url))
  const initramfs = join(cached(`initramfs-${release}-${arch}-${createHash('sha256').update(script).update(modules.join()).digest('hex').slice(0, 8)}`, folder => makeInitramfs(folder, library, script, arch)), 'initramfs')
  return { release, arch, version: basename(library), image, initramfs }
}

function makeInitramfs(folder: string, library: string, script: Uint8Array, arch: Arch): void {
  const root = join(folder, 'root')
  for (const path of ['bin', 'modules', 'proc', 'sys', 'dev', 'lower', 'over', 'new']) mkdirSync(join(root, path), { recursive: true })
  const busybox = cached(`busybox-${arch}`, folder => openArchive(arch).unpack(['busybox-static'], folder))
  const binary = [join(busybox, 'bin/busybox'), join(busybox, 'usr/bin/busybox')].map(path => readOr(path)).find(bytes => bytes !== undefined)
  if (binary === undefined) throw new Error('busybox-static has no busybox')
  writeFileSync(join(root, 'bin/busybox'), binary, { mode: 0o755 })
  writeFileSync(join(root, 'init'), script, { mode: 0o755 })
  for (const [index, { name, bytes }] of inOrder(library).entries()) {
    writeFileSync(join(root, 'modules', `${String(index).padStart(3, '0')}-${name}.ko`), bytes)
  }
  execFileSync('sh', ['-c', 'find . | cpio --quiet -o -H newc > ../initramfs'], { cwd: root })
}

/** The modules that are wanted and all that they need, in the order in which they can be loaded. */
function inOrder(library: string): { readonly name: string; readonly bytes: Uint8Array }[] {
  const normal = (name: string) => name.replaceAll('-', '_')
  const files = new Map(readdirSync(library, { recursive: true, encoding: 'utf8' })
    .filter(path => /\.ko(\.xz)?$/.test(path))
    .map(path => [normal(basename(path).replace(/\.ko(\.xz)?$/, '')), join(library, path)]))
  const loaded = new Map<string, Uint8Array>()
  const add = (name: string) => {
    const path = files.get(name)
    if (path === undefined || loaded.has(name)) return
    const bytes = path.endsWith('.xz') ? execFileSync('xz', ['-dc', path], { maxBuffer: 1 << 28 }) : readFileSync(path)
    const needs = /\0depends=([^\0]*)\0/.exec(bytes.toString('latin1'))?.[1] ?? ''
    for (const other of needs.split(',')) add(normal(other))
    loaded.set(name, bytes)
  }
  for (const name of modules) add(normal(name))
  return [...loaded].map(([name, bytes]) => ({ name, bytes }))
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder).map(name => join(folder, name))
  } catch {
    return []
  }
}

function readOr(path: string): Uint8Array | undefined {
  try {
    return readFileSync(path)
  } catch {
    return undefined
  }
}

import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'uvu'
import { unless, whyUnprivileged } from '../privilege.js'
import { complains, run } from './outcome.js'
import { packed, unpack, withoutPackage } from './pack.js'
import { countsExactly } from './watch.js'

const reason = withoutPackage ?? whyUnprivileged()
const script = packed('/package')

/** A root with node where it is here, the libraries that it is linked with, and the package: no shell, no /tmp, and nothing in /etc. */
function makeRoot(): string {
  const root = mkdtempSync(join(tmpdir(), 'tcptop-root-'))
  process.once('exit', () => rmSync(root, { recursive: true, force: true }))
  const libraries = execFileSync('ldd', [process.execPath], { encoding: 'utf8' }).match(/\/\S+/g) ?? []
  for (const path of [process.execPath, ...libraries]) {
    mkdirSync(join(root, dirname(path)), { recursive: true })
    copyFileSync(path, join(root, path))
  }
  cpSync(unpack(), join(root, 'package'), { recursive: true })
  for (const name of ['proc', 'sys']) mkdirSync(join(root, name))
  return root
}

const root = reason === undefined ? makeRoot() : ''

/**
 * The command that goes there, with these of the kernel's file systems; what is mounted below them, tracefs and bpffs, stays behind. All is
 * read-only, the environment is empty.
 */
const within = (...mounts: readonly string[]) => ['unshare', '--mount', 'sh', '-ec', [
  'root=$1', 'shift', 'mount --bind "$root" "$root"',
  ...mounts.map(name => `mount --bind /${name} "$root/${name}"; mount -o remount,ro,bind "$root/${name}"`),
  'mount -o remount,ro,bind "$root"', 'exec env -i "$(command -v chroot)" "$root" "$@"',
].join('\n'), 'sh', root]

const rootTest = (title: string, run: () => Promise<void>) => test(title, unless(reason, title, run))

for (const mounts of [['proc', 'sys'], ['sys']]) {
  rootTest(`in a read-only root with nothing but node, the package and /${mounts.join(' and /')}, what others move is counted to the byte`, async () => {
    await countsExactly(['-v'], within(...mounts), script)
  })
}

rootTest('in a root where not even /sys and /proc are, one line says what is needed', async () => {
  const [file = '', ...args] = [...within(), process.execPath, script, '0.1', '1']
  complains(await run(file, args), 1, 'BTF', '--btf FILE', '/proc')
})

test.run()

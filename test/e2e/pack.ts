import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../../..', import.meta.url))

/** Why no package can be made here. */
export const withoutPackage = ['x86_64-linux-gnu-g++', 'aarch64-linux-gnu-g++']
  .filter(compiler => spawnSync(compiler, ['--version']).status !== 0)
  .map(compiler => `${compiler} is not here, which a package is made with`)[0]

/** Makes the package as `npm pack` does, and unpacks it into a directory where there is nothing else; removed at the end. */
export function unpack(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tcptop-package-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const name = execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: root, encoding: 'utf8' }).trim().split('\n').at(-1)!
  mkdirSync(join(folder, 'here'))
  execFileSync('tar', ['-xzf', join(folder, name), '-C', join(folder, 'here'), '--strip-components', '1', '--no-same-owner'])
  return join(folder, 'here')
}

/** Where the tool is in a package. */
export const packed = (folder: string) => join(folder, 'dist/bin/tcptop.js')

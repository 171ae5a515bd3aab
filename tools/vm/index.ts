/**
 * Boots one of Debian's kernels under emulation and runs a command in it, in this checkout, on a layer of its own over the host's files.
 *
 *   npm run vm -- RELEASE [-a KERNEL_ARGUMENTS] [-c] COMMAND…       -c: one instruction is one nanosecond
 */
import { parseArgs } from 'node:util'
import { fileURLToPath } from 'node:url'
import { runInGuest } from './guest.js'
import { fetchKernel, releases } from './kernel.js'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const { values, positionals: [release, ...command] } = parseArgs({
  allowPositionals: true,
  options: { append: { type: 'string', short: 'a' }, counted: { type: 'boolean', short: 'c' } },
})
if (release === undefined || command.length === 0) {
  console.error(`usage: npm run vm -- RELEASE [-a KERNEL_ARGUMENTS] [-c] COMMAND…   (releases: ${releases.join(', ')})`)
  process.exit(2)
}
const { status } = await runInGuest({
  kernel: fetchKernel(release, 'amd64'),
  root: '/',
  script: `cd '${root}'\n${command.join(' ')}`,
  patience: 3600,
  line: text => console.log(text),
  ...values,
})
process.exitCode = status ?? 1

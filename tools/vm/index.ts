/**
 * Boots one of Debian's kernels under emulation and runs a command in it, in this checkout, on a layer of its own over the host's files, or
 * over those of a system of another architecture.
 *
 *   npm run vm -- [-m ARCH] [-a KERNEL_ARGUMENTS] [-c] [-o FOLDER] RELEASE COMMAND…
 *
 *   -m: amd64 (default) or arm64     -c: one instruction is one nanosecond     -o: gets what the command leaves in /run/guest/out
 */
import { parseArgs } from 'node:util'
import { fileURLToPath } from 'node:url'
import { runInGuest } from './guest.js'
import { fetchKernel, releases } from './kernel.js'
import { archs, prepareFor } from './machine.js'

const { values: { machine, ...options }, positionals: [release, ...command] } = parseArgs({
  allowPositionals: true,
  options: {
    machine: { type: 'string', short: 'm', default: 'amd64' },
    append: { type: 'string', short: 'a' },
    counted: { type: 'boolean', short: 'c' },
    out: { type: 'string', short: 'o' },
  },
})
const arch = archs.find(name => name === machine)
if (arch === undefined || release === undefined || command.length === 0) {
  console.error(`usage: npm run vm -- [-m ARCH] [-a KERNEL_ARGUMENTS] [-c] [-o FOLDER] RELEASE COMMAND…
releases: ${releases.join(', ')}; architectures: ${archs.join(', ')}`)
  process.exit(2)
}
const checkout = fileURLToPath(new URL('../../..', import.meta.url))
const { status } = await runInGuest({
  kernel: fetchKernel(release, arch),
  root: prepareFor(arch, checkout),
  checkout,
  script: `cd '${checkout}'\n${command.join(' ')}`,
  patience: 7200,
  line: text => console.log(text),
  ...options,
})
process.exitCode = status ?? 1

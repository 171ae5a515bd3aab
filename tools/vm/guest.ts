import { spawn } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { GuestKernel } from './kernel.js'

/** What is run in a guest, and how. */
export interface Job {
  readonly kernel: GuestKernel
  /** The tree that the guest sees as its own, read-only beneath a layer of its own: the host's, or one of another architecture. */
  readonly root: string
  /** A folder of the host that the guest sees at the same path, wherever `root` is from, beneath a layer of its own too. */
  readonly checkout: string
  /** A shell script. */
  readonly script: string
  /** More for the kernel's command line, such as `lockdown=integrity`. */
  readonly append?: string
  readonly cpus?: number
  /** One instruction lasts one virtual nanosecond, on one processor: what a program measures in time are instructions. */
  readonly counted?: boolean
  /** A folder of the host that gets what the script leaves in /run/guest/out. */
  readonly out?: string
  /** Seconds after which the guest is given up. */
  readonly patience: number
  /** Called with every line that the script prints. */
  readonly line?: (text: string) => void
}

export interface Ended {
  /** Of the script; null when the guest ended before it. */
  readonly status: number | null
  readonly output: string
}

const marker = '--- guest is up ---'

/**
 * How often a guest is booted that dies before its script begins. A boot patches the kernel's code while another processor runs it, and QEMU may
 * then run half of a patch: the kernel meets an int3 that it has taken back already. Seen with QEMU 7.2 on a busy host in one boot of about 100;
 * others saw it with 8.0 (https://bugzilla.redhat.com/show_bug.cgi?id=2216496).
 */
const boots = 3

/** Boots a kernel under emulation, runs the script in it and resolves when the machine is off. Needs no privileges. */
export async function runInGuest(job: Job): Promise<Ended> {
  for (let boot = 1; ; boot++) {
    const { died, ...ended } = await bootOnce(job)
    if (!died || boot === boots) return ended
    console.error(`the guest of Linux ${job.kernel.version} ended before its script began, and is booted again:\n${ended.output}`)
  }
}

/** Whether the guest `died` is whether it ended, by itself, before its script began. */
async function bootOnce(job: Job): Promise<Ended & { readonly died: boolean }> {
  const { script, patience, line = () => {} } = job
  const folder = mkdtempSync(join(tmpdir(), 'tcptop-guest-'))
  chmodSync(folder, 0o777)
  writeFileSync(join(folder, 'command'), `echo '${marker}'\n${script}\n`)
  writeFileSync(join(folder, 'place'), job.checkout)
  const left = join(folder, 'out')
  mkdirSync(left)
  chmodSync(left, 0o777)
  try {
    const emulator = spawn(...emulatorOf(job, folder), { stdio: ['ignore', 'pipe', 'pipe'] })
    let errors = ''
    /** What the console showed of the boot: printed if nothing came after it. */
    let boot = ''
    let output = ''
    let up = false
    emulator.stderr.on('data', data => (errors += data))
    createInterface({ input: emulator.stdout }).on('line', text => {
      const plain = text.replace(/\r/g, '')
      if (!up) {
        up = plain.includes(marker)
        boot += `${plain}\n`
      } else {
        output += `${plain}\n`
        line(plain)
      }
    })
    let givenUp = false
    const timer = setTimeout(() => {
      givenUp = true
      emulator.kill('SIGKILL')
    }, patience * 1000)
    const end = await new Promise<string>((resolve, reject) => {
      emulator.on('error', reject).on('close', (code, signal) => resolve(signal ?? `status ${code}`))
    })
    clearTimeout(timer)
    if (job.out !== undefined) cpSync(left, job.out, { recursive: true })
    const status = join(folder, 'status')
    if (existsSync(status)) return { died: false, status: Number(readFileSync(status, 'utf8')), output }
    const why = givenUp ? `given up after ${patience} s` : `the emulator ended with ${end}`
    return { died: !up && !givenUp, status: null, output: `${up ? output : boot}${errors}${why}\n` }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function emulatorOf({ kernel, root, checkout, append = '', cpus = 2, counted = false }: Job, folder: string): [string, string[]] {
  const share = (id: string, path: string, mode: string) => [
    '-fsdev', `local,id=${id},path=${path},security_model=none,multidevs=remap${mode}`,
    '-device', `virtio-9p-pci,fsdev=${id},mount_tag=${id}`,
  ]
  const console = kernel.arch === 'amd64' ? 'ttyS0' : 'ttyAMA0'
  const program = kernel.arch === 'amd64' ? 'qemu-system-x86_64' : 'qemu-system-aarch64'
  return [program, [
    // A processor that servers have: `max` would spend its time on emulating pointer authentication.
    ...kernel.arch === 'amd64' ? ['-cpu', 'max'] : ['-machine', 'virt', '-cpu', 'neoverse-n1'],
    '-nodefaults', '-no-reboot', '-display', 'none', '-serial', 'stdio', '-m', '4096',
    ...counted ? ['-accel', 'tcg,thread=single', '-icount', 'shift=0,sleep=off', '-smp', '1'] : ['-accel', 'tcg', '-smp', `${cpus}`],
    '-kernel', kernel.image, '-initrd', kernel.initramfs,
    '-append', `console=${console} quiet loglevel=1 panic=-1 mitigations=off ${append}`.trimEnd(),
    ...share('root', root, ',readonly=on'),
    ...share('checkout', checkout, ',readonly=on'),
    ...share('guest', folder, ''),
  ]]
}

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

/** Boots a kernel under emulation, runs the script in it and resolves when the machine is off. Needs no privileges. */
export async function runInGuest(job: Job): Promise<Ended> {
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
    let output = ''
    let up = false
    emulator.stderr.on('data', data => (errors += data))
    createInterface({ input: emulator.stdout }).on('line', text => {
      const plain = text.replace(/\r/g, '')
      if (!up) up = plain.includes(marker)
      else {
        output += `${plain}\n`
        line(plain)
      }
    })
    const timer = setTimeout(() => {
      errors += `given up after ${patience} s\n`
      emulator.kill('SIGKILL')
    }, patience * 1000)
    await new Promise((resolve, reject) => emulator.on('error', reject).on('close', resolve))
    clearTimeout(timer)
    if (job.out !== undefined) cpSync(left, job.out, { recursive: true })
    const status = join(folder, 'status')
    return existsSync(status) ? { status: Number(readFileSync(status, 'utf8')), output } : { status: null, output: `${output}${errors}` }
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

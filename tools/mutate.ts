/**
 * Makes the changes of tools/mutation.ts to a copy of the source, one at a time, and runs the test file that must fail then. Ends with a line
 * `N passed, N failed`: a change has passed when a test of that file failed.
 *
 *   node dist/tools/mutate.js [--list] [--part I/N | --sample N [--seed TEXT]] [WORD…]
 *
 *   --list: print the changes and run nothing
 *   --part: every Nth change, from the Ith on
 *   --sample: so many changes, chosen by the seed, which is printed; the seed is the day if none is given
 *   WORD: only changes whose description contains one of the words
 */
import { build } from 'esbuild'
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type Mutation, mutations, nameOf } from './mutation.js'
import { closingLine } from './uvu.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
/** Seconds after which a test file hangs. */
const patience = 300
const folders = ['bpf-asm', 'syscall', 'src', 'test', 'tools']
/** What AssemblyScript compiles. */
const isWasm = (file: string) => file.startsWith('src/wasm/') || file === 'src/layout.ts'
const isTypeScript = (file: string) => !file.startsWith('src/wasm/')

/** A checkout of its own that is compiled file by file, without a look at types. */
class Copy {
  readonly #at = mkdtempSync(join(tmpdir(), 'tcptop-mutate-'))

  /** Whoever fails to remove a copy leaves a few megabytes in /tmp. */
  remove(): void {
    rmSync(this.#at, { recursive: true, force: true })
  }

  async make(): Promise<void> {
    const skipped = ['.git', 'node_modules', 'dist', 'prebuilt', 'syscall/build'].map(name => join(root, name))
    cpSync(root, this.#at, { recursive: true, filter: from => !skipped.includes(from) })
    for (const name of ['node_modules', 'syscall/build']) symlinkSync(join(root, name), join(this.#at, name))
    cpSync(join(root, 'dist/wasm'), join(this.#at, 'dist/wasm'), { recursive: true })
    const sources = folders.flatMap(folder => readdirSync(join(this.#at, folder), { recursive: true, encoding: 'utf8' })
      .map(file => `${folder}/${file}`)
      .filter(file => /(?<!\.d)\.ts$/.test(file) && !file.startsWith('syscall/build/') && isTypeScript(file)))
    await this.#compile(sources)
  }

  /** Unlike tsc it keeps the enums of src/layout.ts, so that a change of that needs no other file to be compiled again. */
  async #compile(files: readonly string[]): Promise<void> {
    await build({
      entryPoints: files.map(file => join(this.#at, file)), outbase: this.#at, outdir: join(this.#at, 'dist'),
      platform: 'node', format: 'esm', target: 'node20', sourcemap: true, logLevel: 'silent',
    })
  }

  #assemble(): void {
    const asc = join(root, 'node_modules/assemblyscript/bin/asc.js')
    const { status, stderr } = spawnSync(process.execPath, [asc, '--config', 'asconfig.json', '--target', 'release'], { cwd: this.#at, encoding: 'utf8' })
    if (status !== 0) throw new Error(`asc: ${stderr}`)
  }

  /** Compiles `file` as it is after the change, lets `check` run, and undoes it. */
  async with<T>({ file, find, replace }: Mutation, check: () => Promise<T>): Promise<T> {
    const path = join(this.#at, file)
    const text = readFileSync(path, 'utf8')
    const parts = text.split(find)
    if (parts.length !== 2) throw new Error(`what is to be replaced is there ${parts.length - 1} times`)
    const compile = async () => {
      if (isTypeScript(file)) await this.#compile([file])
      if (isWasm(file)) this.#assemble()
    }
    writeFileSync(path, parts.join(replace))
    try {
      await compile()
      return await check()
    } finally {
      writeFileSync(path, text)
      await compile()
    }
  }

  /** Runs a test file up to the first test that fails. */
  run(file: string): Promise<Result> {
    return new Promise(resolve => {
      const child = spawn(process.execPath, [join(this.#at, 'dist', file.replace(/ts$/, 'js'))], {
        cwd: this.#at, stdio: ['ignore', 'pipe', 'pipe'], detached: true, env: { ...process.env, FORCE_COLOR: undefined },
      })
      let output = ''
      const end = (result: Result) => {
        clearTimeout(timer)
        resolve(result)
        try {
          if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
        }
      }
      const timer = setTimeout(() => end({ is: 'hangs', output }), patience * 1000)
      for (const stream of [child.stdout, child.stderr]) stream.on('data', data => {
        output += data
        // uvu prints one sign a test, as each ends.
        if (output.includes('✘')) end({ is: 'failed', output })
      })
      child.on('close', status => {
        const ran = /^ *Total: +[1-9]/m.test(output)
        end({ is: status === 0 && ran ? 'passed' : 'broken', output })
      })
    })
  }
}

interface Result {
  readonly is: 'passed' | 'failed' | 'hangs' | 'broken'
  readonly output: string
}

/** The same for the same seed, whatever order the list is in. */
function sample(from: readonly Mutation[], size: number, seed: string): Mutation[] {
  const rank = (mutation: Mutation) => createHash('sha256').update(`${seed} ${nameOf(mutation)}`).digest('hex')
  return from.toSorted((one, other) => rank(one) < rank(other) ? -1 : 1).slice(0, size)
}

/** What of the list is asked for. */
function chosen(args: readonly string[]): { readonly chosen: readonly Mutation[]; readonly lists: boolean } {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { list: { type: 'boolean', default: false }, part: { type: 'string' }, sample: { type: 'string' }, seed: { type: 'string' } },
  })
  const found = mutations.filter(mutation => positionals.length === 0 || positionals.some(word => nameOf(mutation).includes(word)))
  const [, part, parts] = /^(\d+)\/(\d+)$/.exec(values.part ?? '1/1') ?? []
  if (part === undefined) throw new Error(`--part must be as 2/6, got ${values.part}`)
  const shared = found.filter((_, index) => index % Number(parts) === Number(part) - 1)
  if (values.sample === undefined) return { chosen: shared, lists: values.list }
  const seed = values.seed ?? new Date().toISOString().slice(0, 10)
  console.log(`${values.sample} of ${shared.length} changes, seed ${seed}`)
  return { chosen: sample(shared, Number(values.sample), seed), lists: values.list }
}

async function main(args: readonly string[]): Promise<number> {
  const { chosen: list, lists } = chosen(args)
  if (lists) {
    for (const mutation of list) console.log(nameOf(mutation))
    return 0
  }
  const copy = new Copy()
  const removed = () => copy.remove()
  process.once('exit', removed)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
  await copy.make()

  let [passed, failed] = [0, 0]
  /** One line, and what a reader needs to know of a failure. */
  const finish = (name: string, problem?: string) => {
    if (problem === undefined) passed++
    else failed++
    console.log(problem === undefined ? `ok   ${name}` : `FAIL ${name}\n${problem.trimEnd().replace(/^/gm, '     ')}`)
  }
  // What fails without a change, too, would notice nothing.
  const sound = new Map<string, boolean>()
  const isSound = async (file: string) => {
    const known = sound.get(file)
    if (known !== undefined) return known
    const { is, output } = await copy.run(file)
    sound.set(file, is === 'passed')
    if (is !== 'passed') finish(`${file} without a change`, `${is}\n${output}`)
    return is === 'passed'
  }
  for (const mutation of list) {
    const name = nameOf(mutation)
    if (!await isSound(mutation.test)) {
      finish(name, `${mutation.test} fails without it`)
      continue
    }
    try {
      const { is, output } = await copy.with(mutation, () => copy.run(mutation.test))
      if (is === 'failed') finish(name)
      else finish(name, is === 'passed' ? `${mutation.test} did not notice` : `${mutation.test} ${is}\n${output}`)
    } catch (error) {
      finish(name, (error as Error).message)
    }
  }
  console.log(closingLine(passed, failed + (list.length === 0 ? 1 : 0), 0))
  return failed > 0 || list.length === 0 ? 1 : 0
}

process.exitCode = await main(process.argv.slice(2))

#!/usr/bin/env node
/**
 * Brings a checkout to a state in which it runs: installs packages, builds the native shim, compiles TypeScript and
 * AssemblyScript, and bundles what users run, each only when what it is made from has changed. In an unpacked
 * package, where all else is there, it builds the shim for a machine that none of the packed ones fits. Plain JavaScript,
 * because it runs before there is a compiler.
 *
 *   node tools/build.mjs [--arch=ARCH] [--pack]
 *
 *   --arch: the shim for another architecture too, by Node's name of it, with Debian's cross compiler
 *   --pack: all that a package holds: the shims for all architectures for which a compiler is here, and what building another one takes
 *
 * What root builds in a checkout of somebody else's is built as its owner, who can then build there again.
 */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, lchownSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { userInfo } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, brotliDecompressSync } from 'node:zlib'

const root = fileURLToPath(new URL('..', import.meta.url))
const at = (...parts) => join(root, ...parts)
const stamps = at('dist', '.stamp')
/** Run by `npm ci` or `npm install` itself, as their prepare script: the packages are there. */
const { npm_lifecycle_event: event, npm_command: npmCommand = '' } = process.env
const installed = event === 'prepare' && /^(ci|install)/.test(npmCommand)

/** A step: what it is made from, what must be there afterwards, and the command that makes it. */
const install = {
  name: 'packages',
  from: ['package.json', 'package-lock.json'],
  makes: ['node_modules'],
  note: 'npm ci, the first time some ten seconds',
  command: () => ['npm', 'ci', '--no-audit', '--no-fund', '--loglevel=error'],
}
const headers = ['napi.h', 'napi-inl.h']
const shimSources = ['syscall/binding.gyp', 'syscall/binding.cc']
const shim = {
  name: 'native shim',
  from: ['syscall/binding.gyp', 'syscall/binding.cc', process.execPath],
  makes: ['syscall/build/Release/tcptop.node'],
  before: () => {
    requireBuildTools()
    unpackHeaders()
  },
  command: () => ['node', nodeGyp(), 'rebuild', '--directory=syscall', '--loglevel=error', ...nodeHeaders()],
}
const checkout = [
  shim,
  {
    name: 'TypeScript',
    from: ['tsconfig.json', 'package-lock.json', 'bpf-asm', 'syscall', 'src', 'test', 'tools'],
    makes: ['dist/src/cli.js', 'dist/tools/test.js'],
    // What tsc remembers of its last run would keep it from writing again what was deleted since.
    before: step => step.makes.every(made) || rmSync(at('dist/tsconfig.tsbuildinfo'), { force: true }),
    command: () => ['node', at('node_modules/typescript/bin/tsc'), '-p', root],
  },
  {
    name: 'WebAssembly',
    from: ['asconfig.json', 'package-lock.json', 'src/wasm', 'src/layout.ts'],
    makes: ['dist/wasm/aggregate.wasm'],
    command: () =>
      ['node', at('node_modules/assemblyscript/bin/asc.js'), '--config', 'asconfig.json', '--target', 'release'],
  },
  {
    // As deep below the root as dist/src/cli.js, for what is found from there: the WASM, the shims and package.json.
    name: 'bundle',
    from: ['package-lock.json', 'tools/bundle.mjs', 'bpf-asm', 'syscall', 'src', process.execPath],
    makes: ['dist/bin/tcptop.js', 'dist/bin/program.js', 'dist/bin/yargs.js', 'dist/bin/package.json', 'dist/lib/trace.js'],
    before: () => rmSync(at('dist/bin'), { recursive: true, force: true }),
    command: () => ['node', at('tools/bundle.mjs')],
  },
]
/** The shim that a package had for this machine, and a digest of what it was made from. */
const prebuilt = arch => `prebuilt/linux-${arch}/tcptop.node`
const sourceOf = shim => `${dirname(shim)}/source`
const hasPrebuilt = made(sourceOf(prebuilt(process.arch))) && readFileSync(at(sourceOf(prebuilt(process.arch))), 'utf8') === hash(shimSources) && fits(prebuilt(process.arch))
const steps = made('src') ? checkout.filter(step => step !== shim || !hasPrebuilt) : fits(`prebuilt/linux-${process.arch}/tcptop.node`) ? [] : [shim]

/** Other architectures, by Node's name of them, with the compilers that Debian has for them: g++-aarch64-linux-gnu is one. */
const compilers = { arm64: 'aarch64-linux-gnu', x64: 'x86_64-linux-gnu' }
const packs = process.argv.includes('--pack')
const archs = packs ? Object.keys(compilers).filter(arch => compilerOf(arch) !== undefined) : process.argv.flatMap(arg => /^--arch=(.*)$/.exec(arg)?.[1] ?? [])

try {
  steps.push(...archs.map(shimFor))
  if (packs) noteMissing()
  if (installed) stamp(install)
  else if (isStale(install) && made('package-lock.json')) {
    becomeOwner()
    await make(install)
  }
  // Without the compilers, as after `npm ci --omit=dev`, what was built before must do.
  const canBuild = made('node_modules/typescript') || !made('src')
  const stale = steps.filter(canBuild ? isStale : step => !step.makes.every(made))
  if (stale.length > 0 && !canBuild) {
    const names = stale.map(step => step.name).join(', ')
    throw new Error(`not built: ${names}; what builds it is not installed: run npm ci without --omit=dev`)
  }
  if (stale.length > 0 || packs) becomeOwner()
  if (stale.length > 0) removeOrphans()
  await Promise.all(stale.map(make))
  if (packs) packHeaders()
} catch (error) {
  console.error(`build: ${error.message}`)
  process.exitCode = 1
}

/** The step that makes the shim of another architecture. node-gyp makes everything below its directory, so it gets one of its own. */
function shimFor(arch) {
  const directory = join('dist', 'shim', arch)
  const shim = prebuilt(arch)
  if (compilers[arch] === undefined) throw new Error(`no compiler is known for ${arch}, but for ${Object.keys(compilers).join(', ')}`)
  const prefix = compilerOf(arch) ?? `${compilers[arch]}-`
  return {
    name: `native shim for ${arch}`,
    from: ['syscall/binding.gyp', 'syscall/binding.cc', process.execPath],
    makes: [shim],
    before: () => {
      mkdirSync(at(directory), { recursive: true })
      for (const name of ['binding.gyp', 'binding.cc']) copyFileSync(at('syscall', name), at(directory, name))
    },
    command: () => ['node', nodeGyp(), 'rebuild', `--directory=${directory}`, `--arch=${arch}`, '--loglevel=error', ...nodeHeaders()],
    env: { CC: `${prefix}gcc`, CXX: `${prefix}g++`, AR: `${prefix}ar` },
    after: () => {
      copyTo(shim, at(directory, 'build/Release/tcptop.node'))
      writeFileSync(at(sourceOf(shim)), hash(shimSources))
    },
  }
}

/** What is before the names of an architecture's compilers: of this machine's own they may be without. Undefined where they are not here. */
function compilerOf(arch) {
  const prefixes = [`${compilers[arch]}-`, ...arch === process.arch ? [''] : []]
  return prefixes.find(prefix => isHere(`${prefix}g++`))
}

function isHere(program) {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0
}

/** A package has the shims that can be built here. Those it lacks are printed, because there a compiler is needed. */
function noteMissing() {
  for (const [arch, prefix] of Object.entries(compilers).filter(([arch]) => !archs.includes(arch))) {
    console.error(`build: the package has no shim for ${arch}: ${prefix}-g++ is not here, of Debian's package g++-${prefix.replaceAll('_', '-')}`)
  }
  if (archs.length === 0) throw new Error('a package without any shim is not made')
}

/** What binding.gyp takes where node-addon-api is not installed, without its comments. As text these would be a quarter of the package. */
function packHeaders() {
  rmSync(at('syscall/include'), { recursive: true, force: true })
  mkdirSync(at('syscall/include'))
  for (const name of headers) {
    const text = readFileSync(at('node_modules/node-addon-api', name), 'utf8').replaceAll(/^\s*\/\/.*\n/gm, '')
    writeFileSync(at('syscall/include', `${name}.br`), brotliCompressSync(text))
  }
}

function unpackHeaders() {
  for (const name of headers.filter(name => made(`syscall/include/${name}.br`))) {
    writeFileSync(at('syscall/include', name), brotliDecompressSync(readFileSync(at('syscall/include', `${name}.br`))))
  }
}

function requireBuildTools() {
  const missing = ['g++', 'make', 'python3'].filter(program => !isHere(program))
  if (missing.length === 0) return
  throw new Error(`the native shim is built with g++, make and python3, and ${missing.join(' and ')} ${missing.length > 1 ? 'are' : 'is'} not here: `
    + 'install them (Debian: apt install g++ make python3), or a package that npm pack made elsewhere, which needs none of them')
}

/** From now on this process is the owner of the checkout, if root started it there; so is what root has built there before. */
function becomeOwner() {
  const { uid, gid } = statSync(root)
  if (process.getuid() !== 0 || uid === 0) return
  // The folder may be in one that only root may enter.
  if (spawnSync('test', ['-w', root], { uid, gid }).status !== 0) return
  for (const folder of ['dist', 'node_modules', 'prebuilt', 'syscall/build']) if (made(folder) && statSync(at(folder)).uid !== uid) giveTo(at(folder), uid, gid)
  process.setgroups([gid])
  process.setgid(gid)
  process.setuid(uid)
  // npm's cache is the owner's, too.
  try {
    const { homedir } = userInfo()
    Object.assign(process.env, { HOME: homedir, npm_config_cache: join(homedir, '.npm') })
  } catch {
    // An owner without a name has no home.
    process.env.npm_config_cache = at('node_modules', '.npm')
  }
}

function giveTo(path, uid, gid) {
  lchownSync(path, uid, gid)
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) giveTo(join(path, entry.name), uid, gid)
    else lchownSync(join(path, entry.name), uid, gid)
  }
}

/** Whether this node loads the shim. */
function fits(shim) {
  try {
    createRequire(import.meta.url)(at(shim))
    return true
  } catch {
    return false
  }
}

function copyTo(path, from) {
  mkdirSync(dirname(at(path)), { recursive: true })
  copyFileSync(from, at(path))
}

function isStale(step) {
  const path = join(stamps, step.name)
  return !step.makes.every(made) || !existsSync(path) || readFileSync(path, 'utf8') !== hash(step.from)
}

function made(path) {
  return existsSync(at(path))
}

/**
 * Of the contents, for a fresh clone has any times. A path outside of the checkout, such as node itself, counts by its
 * name and size.
 */
function hash(paths) {
  const sum = createHash('sha256')
  for (const path of paths.flatMap(files)) {
    sum.update(`${path}\0`).update(path.startsWith('/') ? `${statSync(path).size}` : readFileSync(at(path)))
  }
  return sum.digest('hex')
}

function files(path) {
  if (path.startsWith('/')) return [path]
  if (!existsSync(at(path))) return []
  if (!statSync(at(path)).isDirectory()) return [path]
  return readdirSync(at(path), { withFileTypes: true, recursive: true })
    .filter(entry => entry.isFile() && /\.(ts|mjs|cc|gyp)$/.test(entry.name))
    .map(entry => relative(root, join(entry.parentPath ?? entry.path, entry.name)))
    .filter(name => !/^syscall\/(build|include)\//.test(name))
    .sort()
}

/** JavaScript and declarations whose source is gone: nothing may import them, and no test may run them. */
function removeOrphans() {
  for (const folder of ['bpf-asm', 'syscall', 'src', 'test', 'tools']) {
    if (!existsSync(at('dist', folder))) continue
    for (const entry of readdirSync(at('dist', folder), { withFileTypes: true, recursive: true })) {
      const path = join(entry.parentPath ?? entry.path, entry.name)
      const source = at(relative(at('dist'), path)).replace(/(\.d\.ts|\.js(\.map)?)$/, '.ts')
      if (entry.isFile() && /\.(d\.ts|js|js\.map)$/.test(path) && !existsSync(source)) rmSync(path)
    }
  }
}

async function make(step) {
  const begin = Date.now()
  process.stderr.write(`build: ${step.name}${step.note === undefined ? '' : ` (${step.note})`} …\n`)
  // A step that fails may have written half of its output: what is there then is that of no input.
  rmSync(join(stamps, step.name), { force: true })
  step.before?.(step)
  const [command, ...args] = step.command()
  const { status, output } = await run(command, args, step.env)
  if (status !== 0) throw new Error(`${step.name} failed: ${command} ${args.join(' ')}\n${output.trimEnd()}`)
  step.after?.()
  stamp(step)
  process.stderr.write(`build: ${step.name}: done in ${Math.round((Date.now() - begin) / 1000)} s\n`)
}

function stamp(step) {
  mkdirSync(stamps, { recursive: true })
  writeFileSync(join(stamps, step.name), hash(step.from))
}

function run(command, args, env = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', data => (output += data))
    child.on('error', reject)
    child.on('close', status => resolve({ status, output }))
  })
}

/** The node-gyp that comes with npm. */
function nodeGyp() {
  const { npm_execpath: npm, npm_config_node_gyp: configured } = process.env
  const inside = modules => join(modules, 'node-gyp/bin/node-gyp.js')
  const beside = npm && inside(join(dirname(npm), '../node_modules'))
  const globally = () =>
    inside(join(spawnSync('npm', ['root', '-g'], { encoding: 'utf8' }).stdout.trim(), 'npm/node_modules'))
  const found = [beside, configured].find(path => path && existsSync(path)) ?? globally()
  if (!existsSync(found)) throw new Error('npm has no node-gyp: reinstall npm')
  return found
}

/** Headers that were installed with node need not be downloaded. */
function nodeHeaders() {
  const prefix = dirname(dirname(process.execPath))
  return existsSync(join(prefix, 'include/node/node_api.h')) ? [`--nodedir=${prefix}`] : []
}

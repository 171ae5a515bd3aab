import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test as uvu } from 'uvu'
import * as assert from 'uvu/assert'
import {
  add, assemble, call, callFunction, callKfunc, type Code, debugInfo, encode, exit, fetchAdd, jeq, jne, label, load, loadFunction, loadImm64,
  loadMap, loadMapValue, loadVariable, lsh32, mov, note, parseBtf, r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, store,
} from '../../bpf-asm/index.js'
import { sources } from '../../src/backend/source.js'
import { attrOf } from '../../syscall/attr.js'
import { openKernel, type ProgramSpec, SyscallError, VerifierError } from '../../syscall/index.js'
import { loadNative } from '../../syscall/native.js'
import { command, info, progInfo } from '../../syscall/uapi.js'
import { callee, forms, rest } from '../kit/form.js'
import { compareListing, logged } from '../kit/listing.js'
import { unless, whyUnprivileged } from '../kit/privilege.js'
import { isAtLeast } from '../kit/release.js'

const reason = whyUnprivileged()
const test = (title: string, run: () => void) => uvu(title, unless(reason, title, run))

const key = (number: number) => new Uint8Array(Uint32Array.of(number).buffer)
const value = (number: number) => new Uint8Array(BigUint64Array.of(BigInt(number)).buffer)
const hash = { name: 'numbers', type: 'hash', keySize: 4, valueSize: 8, maxEntries: 2000 } as const

/** Runs `body` and sees that it leaves no descriptor open. */
function withKernel(body: (kernel: ReturnType<typeof openKernel>) => void): void {
  const kernel = openKernel()
  body(kernel)
  assert.is(kernel.open, 0, 'descriptors left open')
}

test('a map keeps what is put into it, and says what is not there', () => withKernel(kernel => {
  const map = kernel.createMap(hash)
  assert.is(map.lookup(key(1)), undefined)
  map.update(key(1), value(7))
  assert.equal(map.lookup(key(1)), value(7))
  assert.throws(() => map.update(key(1), value(8), 'noexist'), /^bpf\(BPF_MAP_UPDATE_ELEM\): EEXIST$/)
  assert.throws(() => map.update(key(2), value(8), 'exist'), /^bpf\(BPF_MAP_UPDATE_ELEM\): ENOENT$/)
  assert.throws(() => map.lookup(new Uint8Array(3)), /key of map numbers has 4 bytes, got 3/)
  assert.ok(map.delete(key(1)))
  assert.not.ok(map.delete(key(1)))
  map.close()
  map.close()
}))

test('reading in batches returns every entry once, for any buffer size', () => withKernel(kernel => {
  const map = kernel.createMap(hash)
  for (let number = 0; number < 1000; number++) map.update(key(number), value(number * 3))
  for (const room of [64, 100, 999, 1000, 5000]) {
    const keys = new Uint8Array(room * 4)
    const values = new Uint8Array(room * 8)
    const met = new Map<number, bigint>()
    for (const batch = map.batch(); !batch.done;) {
      const count = batch.next(keys, values)
      for (let index = 0; index < count; index++) {
        const number = new DataView(keys.buffer).getUint32(index * 4, true)
        assert.not.ok(met.has(number), `${number} met twice with room for ${room}`)
        met.set(number, new DataView(values.buffer).getBigUint64(index * 8, true))
      }
    }
    assert.is(met.size, 1000)
    for (const [number, at] of met) assert.is(at, BigInt(number * 3))
  }
  map.close()
}))

test('a bucket larger than the buffer stops the read, and a larger buffer continues it', () => withKernel(kernel => {
  // So many entries in so few buckets that some bucket surely has two.
  const map = kernel.createMap({ ...hash, maxEntries: 512 })
  for (let number = 0; number < 512; number++) map.update(key(number), value(number))
  const batch = map.batch()
  let met = 0
  let refused = 0
  for (let room = 1; !batch.done;) {
    try {
      met += batch.next(new Uint8Array(room * 4), new Uint8Array(room * 8))
      room = 1
    } catch (error) {
      assert.ok(error instanceof SyscallError && error.code === 'ENOSPC')
      refused++
      room *= 2
    }
  }
  assert.is(met, 512)
  assert.ok(refused > 0)
  map.close()
}))

test('a view that growing memory has detached is refused, not written through', () => withKernel(kernel => {
  const map = kernel.createMap(hash)
  map.update(key(1), value(1))
  const buffer = new ArrayBuffer(64)
  const stale = new Uint8Array(buffer)
  structuredClone(buffer, { transfer: [buffer] })
  assert.is(stale.length, 0)
  assert.throws(() => map.batch().next(stale, stale), /the buffer is smaller than an entry/)
  map.close()
}))

test('a batch of deletions goes on after keys that are not there', () => withKernel(kernel => {
  const map = kernel.createMap(hash)
  for (const number of [1, 2, 4, 5, 8]) map.update(key(number), value(number))
  const keys = new Uint8Array(Uint32Array.of(0, 1, 2, 3, 4, 5, 6, 7, 8, 9).buffer)
  assert.is(map.deleteBatch(keys, 9), 5)
  assert.is(map.lookup(key(8)), undefined)
  assert.is(map.deleteBatch(keys, 10), 0)
  map.close()
}))

test('a pinned map can be opened again, anything else is refused', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bpffs-'))
  execFileSync('mount', ['-t', 'bpf', 'bpf', folder])
  try {
    withKernel(kernel => {
      const map = kernel.createMap({ ...hash, name: 'pinned' })
      map.update(key(3), value(9))
      map.pin(join(folder, 'map'))
      map.close()
      const again = kernel.openMap(join(folder, 'map'))
      assert.equal(
        [again.name, again.type, again.keySize, again.valueSize, again.maxEntries, again.lookup(key(3))], ['pinned', 'hash', 4, 8, 2000, value(9)])
      again.close()
      assert.throws(() => kernel.openMap(join(folder, 'none')), /^bpf\(BPF_OBJ_GET\): ENOENT$/)
      assert.throws(() => kernel.openMap(process.execPath), /^bpf\(BPF_OBJ_GET\): (EACCES|EINVAL|EPERM)$/)
    })
  } finally {
    execFileSync('umount', [folder])
    rmdirSync(folder)
  }
})

test('a rejected program is reported with the reason, the instruction and our note', () => withKernel(kernel => {
  const assembly = assemble([
    mov(r2, 0),
    note('the mistake: there is nothing at 0', load(r0, 'u64', r2, 8)),
    exit(),
  ])
  try {
    kernel.loadProgram({ name: 'wrong', type: 'raw_tracepoint', insns: encode(assembly), license: 'GPL', notes: assembly.notes })
    assert.unreachable()
  } catch (error) {
    assert.instance(error, VerifierError)
    const { message, log } = error as VerifierError
    assert.match(message, /^load wrong: EACCES: R2 invalid mem access 'scalar' at 1: \(79\) r0 = \*\(u64 \*\)\(r2 \+8\) \(the mistake: there is nothing at 0\)/)
    assert.match(log, /1: \(79\) r0 = \*\(u64 \*\)\(r2 \+8\).* {3}<- the mistake/)
  }
}))

/** A program with a function, described by its lines. */
function described(log: 1 | 2): ProgramSpec {
  const assembly = assemble([
    note('the place of the number', mov(r1, 41)),
    callFunction('one_more'), // here it is called
    exit(),
    label('one_more'),
    mov(r0, r1),
    add(r0, 1),
    exit(),
  ])
  const debug = () => debugInfo(assembly, 'described', sources(path => readFileSync(path, 'utf8')))
  return { name: 'described', type: 'raw_tracepoint', insns: encode(assembly), license: 'GPL', logLevel: log, debug }
}

test('the verifier’s log shows our notes and lines of TypeScript', () => withKernel(kernel => {
  const program = kernel.loadProgram(described(2))
  const log = program.log ?? ''
  program.close()
  const where = (line: string) => isAtLeast('6.9') ? `; ${line} @ live.ts:\\d+\\n` : `; ${line}\\n`
  assert.match(log, new RegExp(`${where("note\\('the place of the number', mov\\(r1, 41\\)\\),")}0: \\(b7\\) r1 = 41`))
  assert.match(log, new RegExp(`${where("callFunction\\('one_more'\\), // here it is called")}1: \\(85\\) call pc\\+1`))
}))

test('the kernel keeps the lines, each where we said', () => withKernel(kernel => {
  const spec = described(1)
  const program = kernel.loadProgram(spec)
  const { lineInfo } = spec.debug!()
  const rows = new Uint8Array(lineInfo.length)
  const bytes = new Uint8Array(progInfo.size)
  const put = (field: keyof typeof progInfo.fields, value: number) => new DataView(bytes.buffer).setUint32(progInfo.fields[field][0], value, true)
  put('nr_line_info', rows.length / 16)
  put('line_info_rec_size', 16)
  const native = loadNative()
  const attr = attrOf(info, { bpf_fd: program.fd, info_len: bytes.length, info: bytes })
  // The address of the rows stands in what another address leads to: the shim writes it there.
  native.bpf(-1, bytes, [[progInfo.fields.line_info[0], rows, rows.length]])
  assert.is(native.bpf(command.OBJ_GET_INFO_BY_FD, attr.bytes, attr.pointers), 0)
  assert.equal(rows, lineInfo)
  program.close()
}))

const bpftool = spawnSync('bpftool', ['version']).status === 0
const title = 'bpftool shows the lines'
uvu(title, bpftool ? unless(reason, title, () => withKernel(kernel => {
  const program = kernel.loadProgram(described(1))
  const text = execFileSync('bpftool', ['prog', 'dump', 'xlated', 'id', String(program.info().id), 'linum'], { encoding: 'utf8' })
  program.close()
  assert.match(text, /int described\(\):\n; note\('the place of the number', mov\(r1, 41\)\), \[file:\S*test\/syscall\/live\.ts line_num:\d+ line_col:\d+\]\n +0: \(b7\) r1 = 41/)
  assert.match(text, /int one_more\(\):\n; mov\(r0, r1\), \[file:/)
})) : () => console.log(`SKIP ${title}: there is no bpftool`))

test('our listing of a program is the kernel’s own', () => withKernel(kernel => {
  const numbers = kernel.createMap(hash)
  const words = kernel.createMap({ name: 'words', type: 'array', keySize: 4, valueSize: 8, maxEntries: 1 })
  const code: Code = [
    store('u32', r10, -4, 1),
    mov(r2, r10),
    loadImm64(r3, 0x1234_5678_9abcn),
    loadMap(r1, 'numbers'),
    add(r2, -4),
    call('map_lookup_elem'),
    jeq(r0, 0, 'end'),
    mov(r3, 5),
    fetchAdd('u64', r0, 0, r3),
    lsh32(r3, 3),
    loadMapValue(r1, 'words', 0),
    jeq(r1, 0, 'end'),
    call('ktime_get_ns'),
    jne(r0, -1, 'end'),
    mov(r0, 1),
    label('end'),
    mov(r0, 0),
    exit(),
  ]
  const assembly = assemble(code)
  const program = kernel.loadProgram({
    name: 'listed', type: 'raw_tracepoint', license: 'GPL', logLevel: 2, insns: encode(assembly, { numbers: numbers.fd, words: words.fd }),
  })
  const { differences, compared } = compareListing(assembly, program.log ?? '')
  assert.equal(differences, [])
  assert.is(compared, assembly.insns.length)
  for (const resource of [program, words, numbers]) resource.close()
}))

/** What every form of instruction finds: numbers in r0 to r8, r9 as r10, and a way around it to what follows. */
const before: Code = [
  store('u64', r10, -8, 0),
  mov(r9, r10),
  [r0, r1, r2, r3, r4, r5, r6, r7, r8].map((register, index) => mov(register, index)),
  jeq(r0, 77, 'after'),
]

test('every form of instruction is taken by the kernel, and listed as in the table', () => withKernel(kernel => {
  const place = assemble([before, rest]).slots - assemble(rest).slots
  const differences = forms.filter(([, , , since]) => isAtLeast(since)).flatMap(([insn, , line]) => {
    const insns = encode(assemble([before, insn, rest, insn.label === 'function' ? callee : []]))
    try {
      const program = kernel.loadProgram({ name: 'form', type: 'raw_tracepoint', insns, license: 'GPL', logLevel: 2 })
      program.close()
      const theirs = logged(program.log ?? '').get(place)
      return theirs === line ? [] : [`${line}: the kernel lists ${theirs}`]
    } catch (error) {
      return [`${line}: ${error instanceof Error ? error.message : String(error)}`]
    }
  })
  assert.equal(differences, [])
}))

/** The verifier's log of a program, whether it takes it or not. */
function logOf(kernel: ReturnType<typeof openKernel>, code: Code): string {
  const insns = encode(assemble(code))
  try {
    const program = kernel.loadProgram({ name: 'logged', type: 'raw_tracepoint', insns, license: 'GPL', logLevel: 2 })
    program.close()
    return program.log ?? ''
  } catch (error) {
    if (error instanceof VerifierError) return error.log
    throw error
  }
}

const vmlinux = () => parseBtf(readFileSync('/sys/kernel/btf/vmlinux'))

if (isAtLeast('6.6')) {
  test('kernel functions are called by the ids that the reader finds, and listed by name', () => withKernel(kernel => {
    const btf = vmlinux()
    const kfunc = (name: string) => callKfunc({ name, id: btf.func(name)?.id ?? 0 })
    const code = [kfunc('bpf_rcu_read_lock'), kfunc('bpf_rcu_read_unlock'), mov(r0, 0), exit()]
    const { differences, compared } = compareListing(assemble(code), logOf(kernel, code))
    assert.equal(differences, [])
    assert.is(compared, code.length)
  }))
}

// Of the last two forms the kernel wants more than we have here: what it says shows that it read them as they are meant.

if (isAtLeast('5.13')) {
  test('a function’s address is listed as the kernel lists it, which asks for its types', () => withKernel(kernel => {
    const log = logOf(kernel, [loadFunction(r1, 'function'), mov(r0, 0), exit(), callee])
    assert.is(logged(log).get(0), '(18) r1 = 0x3')
    assert.match(log, /missing btf func_info/)
  }))
}

if (isAtLeast('5.10')) {
  test('a variable has the id that the reader finds, whether the kernel keeps its address or not', () => withKernel(kernel => {
    const log = logOf(kernel, [loadVariable(r1, vmlinux().variable('bpf_prog_active') ?? 0), mov(r0, 0), exit()])
    const line = logged(log).get(0)
    if (line === undefined) assert.match(log, /failed to find the address for kernel symbol 'bpf_prog_active'/)
    else assert.match(line, /^\(18\) r1 = 0x[0-9a-f]+$/)
  }))
}

test('an iterator is read to its end', () => withKernel(kernel => {
  const btf = vmlinux()
  const assembly = assemble([
    load(r2, 'u64', r1, 8),
    jeq(r2, 0, 'end'),
    store('u64', r10, -8, 0x2a),
    load(r1, 'u64', r1, 0),
    load(r1, 'u64', r1, 0),
    mov(r2, r10),
    add(r2, -8),
    mov(r3, 1),
    call('seq_write'),
    label('end'),
    mov(r0, 0),
    exit(),
  ])
  const program = kernel.loadProgram({
    name: 'stars', type: 'tracing', expectedAttachType: 'trace_iter', attachBtfId: btf.func('bpf_iter_task')?.id ?? 0, insns: encode(assembly), license: 'GPL',
  })
  const iterator = kernel.attachIterator(program)
  const written = new TextDecoder().decode(iterator.read())
  assert.match(written, /^\*{2,}$/, 'a star for every task')
  iterator.close()
  program.close()
}))

uvu.run()

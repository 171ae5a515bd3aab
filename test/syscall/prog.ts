import { constants } from 'node:os'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SyscallError, VerifierError } from '../../syscall/index.js'
import { loadProgram, type ProgramSpec } from '../../syscall/prog.js'
import { attachType, btfLoad, info, progInfo, progLoad, programType } from '../../syscall/uapi.js'
import { bufferOf, type Call, fakeKernel, numberOf, putField } from '../kit/fake.js'

const { E2BIG, EACCES, EAGAIN, EINVAL, EMFILE, ENFILE, ENOMEM, ENOSPC, EPERM } = constants.errno
const spec: ProgramSpec = { name: 'tcptop_tx', type: 'tracing', insns: new Uint8Array(24).fill(1), license: 'GPL' }

const logSize = (call: Call) => numberOf(call, progLoad, 'log_size')
const logLevel = (call: Call) => numberOf(call, progLoad, 'log_level')

/** A verifier that rejects with `errno` and writes `log` where it is asked to; what does not fit is ENOSPC. */
function rejecting(errno: number, log: string) {
  return fakeKernel(call => {
    if (call.name !== 'PROG_LOAD') return
    if (logLevel(call) === 0) return -errno
    const buffer = bufferOf(call, progLoad, 'log_buf')!
    new TextEncoder().encodeInto(log, buffer.subarray(0, buffer.length - 1))
    return log.length < buffer.length ? -errno : -ENOSPC
  })
}

/** What a load throws. */
function failureOf(load: () => unknown): unknown {
  try {
    load()
  } catch (error) {
    return error
  }
  throw new Error('it was loaded')
}

test('a program is given with all that is known of it, and the log is not asked for', () => {
  const { descriptors, calls, made } = fakeKernel()
  const program = loadProgram(descriptors, { ...spec, expectedAttachType: 'trace_iter', attachBtfId: 77 })
  const [call] = calls
  assert.is(calls.length, 1)
  const field = (name: keyof typeof progLoad.fields) => numberOf(call!, progLoad, name)
  assert.equal([call!.name, field('prog_type'), field('insn_cnt')], ['PROG_LOAD', programType.tracing, 3])
  assert.equal([field('expected_attach_type'), field('attach_btf_id')], [attachType.trace_iter, 77])
  assert.equal([field('log_level'), field('log_size'), bufferOf(call!, progLoad, 'log_buf')], [0, 0, undefined])
  assert.is(bufferOf(call!, progLoad, 'insns'), spec.insns)
  assert.equal(bufferOf(call!, progLoad, 'license'), new TextEncoder().encode('GPL\0'))
  assert.equal([program.name, program.fd, program.log], ['tcptop_tx', made[0], undefined])
  assert.is(program.expectedAttachType, 'trace_iter')
})

test('a program of half an instruction, or with a name that is too long, is no program', () => {
  const { descriptors, calls } = fakeKernel()
  assert.throws(() => loadProgram(descriptors, { ...spec, insns: new Uint8Array(12) }), /insn_cnt/)
  assert.throws(() => loadProgram(descriptors, { ...spec, name: 'sixteen_letters_' }), /prog_name must have at most 15 bytes/)
  assert.is(calls.length, 0)
})

test('a load that a signal interrupts is tried again, with and without a log', () => {
  for (const times of [1, 5, 19]) {
    let left = times
    const { descriptors, calls } = fakeKernel(() => left-- > 0 ? -EAGAIN : undefined)
    loadProgram(descriptors, spec)
    assert.is(calls.length, times + 1)
  }
  let left = 3
  const { descriptors, calls } = fakeKernel(call => {
    if (logLevel(call) === 0) return -EINVAL
    return left-- > 0 ? -EAGAIN : undefined
  })
  loadProgram(descriptors, spec)
  assert.equal(calls.map(logLevel), [0, 1, 1, 1, 1])
})

test('a load that is always interrupted ends with EAGAIN', () => {
  const { descriptors, calls } = fakeKernel(() => -EAGAIN)
  const error = failureOf(() => loadProgram(descriptors, spec))
  assert.instance(error, SyscallError)
  assert.not.instance(error, VerifierError)
  assert.is((error as SyscallError).message, 'bpf(BPF_PROG_LOAD): EAGAIN')
  assert.is(calls.length, 20)
  assert.is(descriptors.open, 0)
})

test('EPERM is not the verifier’s word: there is no second try, and no log to show', () => {
  const { descriptors, calls } = fakeKernel(() => -EPERM)
  for (const asked of [{}, { logLevel: 1 }] as const) {
    const error = failureOf(() => loadProgram(descriptors, { ...spec, ...asked }))
    assert.instance(error, SyscallError)
    assert.not.instance(error, VerifierError)
    assert.is((error as SyscallError).message, 'bpf(BPF_PROG_LOAD): EPERM')
  }
  assert.equal(calls.map(logLevel), [0, 1])
})

test('a load that fails for another cause than the program says which', () => {
  const accepted = 'processed 5 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n'
  const whole = `0: R1=ctx() R10=fp0\n0: (95) exit\n${accepted}`
  const causes = [
    [EMFILE, accepted, /^load tcptop_tx: EMFILE: this process has too many open files/],
    [ENFILE, accepted, /^load tcptop_tx: ENFILE: the system has too many open files/],
    [ENOMEM, '', /^load tcptop_tx: ENOMEM: the kernel has no memory/],
    [ENOMEM, whole, /^load tcptop_tx: ENOMEM: the kernel has no memory/],
    [E2BIG, '', /^load tcptop_tx: E2BIG: it has more instructions than the kernel loads/],
    [EINVAL, accepted, /^bpf\(BPF_PROG_LOAD\): EINVAL$/],
  ] as const
  for (const [errno, log, message] of causes) {
    const error = failureOf(() => loadProgram(rejecting(errno, log).descriptors, spec))
    assert.instance(error, SyscallError)
    assert.not.instance(error, VerifierError)
    assert.match((error as Error).message, message)
  }
  const tooLarge = `BPF program is too large. Processed 1000001 insn\n${accepted}`
  assert.instance(failureOf(() => loadProgram(rejecting(E2BIG, tooLarge).descriptors, spec)), VerifierError)
})

test('a rejected program is loaded again for the log with the reason', () => {
  const { descriptors, calls } = rejecting(EACCES, '0: R1=ctx() R10=fp0\n0: (95) exit\nR0 !read_ok\n')
  const error = failureOf(() => loadProgram(descriptors, { ...spec, notes: ['the end'] })) as VerifierError
  assert.instance(error, VerifierError)
  assert.is(error.message, 'load tcptop_tx: EACCES: R0 !read_ok at 0: (95) exit (the end) (1 line omitted; -v shows all)')
  assert.is(error.log, '0: R1=ctx() R10=fp0\n0: (95) exit   <- the end\nR0 !read_ok\n')
  assert.equal(calls.map(logLevel), [0, 1])
  assert.is(descriptors.open, 0)
})

test('before Linux 5.18, where the log lacks registers, a more detailed one is requested', () => {
  const plain = '0: (b7) r1 = 5\n R1_w=inv5 R10=fp0\n1: (95) exit\nR0 !read_ok\n'
  const detailed = '0: R1=ctx(id=0) R10=fp0\n0: (b7) r1 = 5\n1: R1_w=inv5 R10=fp0\n1: (95) exit\nR0 !read_ok\n'
  const write = (call: Call, log: string) => void new TextEncoder().encodeInto(log, bufferOf(call, progLoad, 'log_buf') ?? new Uint8Array())
  for (const [second, expected] of [[detailed, detailed], ['', plain]] as const) {
    const { descriptors, calls } = fakeKernel(call => {
      write(call, logLevel(call) === 2 ? second : plain)
      return -EACCES
    })
    assert.is((failureOf(() => loadProgram(descriptors, spec)) as VerifierError).log, expected)
    assert.equal(calls.map(logLevel), [0, 1, 2])
  }
  // The end of a log says what is wrong. One that is cut off does not have it, and the error is then not the verifier's.
  const { descriptors } = fakeKernel(call => {
    const isDetailed = logLevel(call) === 2
    write(call, isDetailed ? `${detailed.repeat(1000)}\0` : plain)
    return isDetailed ? -ENOSPC : -EACCES
  })
  const error = failureOf(() => loadProgram(descriptors, spec)) as VerifierError
  assert.equal([error.code, error.log], ['EACCES', plain])
})

test('a log that does not fit is requested with a larger buffer, up to what every kernel accepts', () => {
  const long = `${'0: R0=0 R10=fp0\n'.repeat(200_000)}unreachable insn 5\n`
  const grown = rejecting(EINVAL, long)
  const error = failureOf(() => loadProgram(grown.descriptors, spec)) as VerifierError
  assert.is(error.log, long)
  assert.equal(grown.calls.map(logSize), [0, 1 << 18, 1 << 20, 1 << 22])
  // What even the largest has no room for is told as far as it goes.
  const endless = rejecting(EINVAL, 'x'.repeat(1 << 24))
  const cut = failureOf(() => loadProgram(endless.descriptors, spec)) as VerifierError
  assert.instance(cut, VerifierError)
  assert.equal([cut.code, cut.log.length], ['ENOSPC', (1 << 24) - 2])
  assert.equal(endless.calls.map(logSize), [0, 1 << 18, 1 << 20, 1 << 22, (1 << 24) - 1])
})

test('a program that the verifier accepts keeps the log that was asked for', () => {
  const { descriptors, calls } = fakeKernel(call => {
    new TextEncoder().encodeInto('processed 1 insns\n', bufferOf(call, progLoad, 'log_buf')!)
  })
  assert.is(loadProgram(descriptors, { ...spec, logLevel: 2 }).log, 'processed 1 insns\n')
  assert.equal(calls.map(logLevel), [2])
})

test('a program is described to the kernel where there is a log, and only there', () => {
  let asked = 0
  const debug = () => {
    asked++
    return { btf: Uint8Array.of(1, 2, 3), funcInfo: new Uint8Array(8), lineInfo: new Uint8Array(48) }
  }
  const quiet = fakeKernel()
  loadProgram(quiet.descriptors, { ...spec, debug })
  assert.equal([asked, quiet.calls.map(({ name }) => name)], [0, ['PROG_LOAD']])

  const { descriptors, calls, made } = fakeKernel()
  loadProgram(descriptors, { ...spec, debug, logLevel: 1 })
  assert.equal(calls.map(({ name }) => name), ['BTF_LOAD', 'PROG_LOAD'])
  assert.equal(bufferOf(calls[0]!, btfLoad, 'btf'), Uint8Array.of(1, 2, 3))
  const fields = ['prog_btf_fd', 'func_info_rec_size', 'func_info_cnt', 'line_info_rec_size', 'line_info_cnt'] as const
  assert.equal(fields.map(name => numberOf(calls[1]!, progLoad, name)), [made[0], 8, 1, 16, 3])
  assert.is(bufferOf(calls[1]!, progLoad, 'line_info')!.length, 48)
  assert.is(descriptors.open, 1, 'the BTF is given back')

  const rejected = rejecting(EACCES, '0: R10=fp0\n0: (95) exit\nR0 !read_ok\n')
  failureOf(() => loadProgram(rejected.descriptors, { ...spec, debug }))
  assert.equal(rejected.calls.map(({ name }) => name), ['PROG_LOAD', 'BTF_LOAD', 'PROG_LOAD'])
  assert.is(rejected.descriptors.open, 0)
})

test('a program whose description the kernel does not take is loaded without', () => {
  const { descriptors, calls } = fakeKernel(({ name }) => name === 'BTF_LOAD' ? -EINVAL : undefined)
  loadProgram(descriptors, { ...spec, logLevel: 1, debug: () => ({ btf: new Uint8Array(), funcInfo: new Uint8Array(8), lineInfo: new Uint8Array(16) }) })
  assert.is(numberOf(calls[1]!, progLoad, 'line_info_cnt'), 0)
})

test('a program says what the kernel knows of it', () => {
  const { descriptors } = fakeKernel(call => {
    if (call.name !== 'OBJ_GET_INFO_BY_FD') return
    const view = new DataView(bufferOf(call, info, 'info')!.buffer)
    const put = (name: keyof typeof progInfo.fields, value: number) =>
      view.setUint32(progInfo.fields[name][0], value, true)
    put('id', 12)
    put('jited_prog_len', 500)
    put('xlated_prog_len', 800)
    put('verified_insns', 345)
    put('run_cnt', 9)
    put('run_time_ns', 1234)
    put('recursion_misses', 1)
  })
  assert.equal(loadProgram(descriptors, spec).info(), {
    id: 12, jitedSize: 500, xlatedSize: 800, verifiedInsns: 345, runCount: 9, runTimeNs: 1234, recursionMisses: 1,
  })
})

test('the runs that a kernel skipped are unknown where it does not have the field', () => {
  // `sizeof(struct bpf_prog_info)` of Linux 5.10, 5.12 and 5.16
  for (const [size, misses] of [[208, undefined], [216, 0], [224, 0]] as const) {
    const { descriptors } = fakeKernel(call => {
      if (call.name === 'OBJ_GET_INFO_BY_FD') putField(call, info, 'info_len', size)
    })
    assert.is(loadProgram(descriptors, spec).info().recursionMisses, misses)
  }
})

test.run()

import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { errorName, SyscallError, UnsupportedError, VerifierError } from '../../syscall/error.js'

const { EACCES, EINVAL } = constants.errno

/** Logs as the kernel wrote them; up from dist/test/syscall/. */
const folder = new URL('../../../test/fixture/verifier/', import.meta.url)
const logOf = (name: string) => readFileSync(new URL(`${name}.txt`, folder), 'utf8')
const notes = Array.from({ length: 16 }, (_, slot) => `why ${slot}`)

const rejections: readonly (readonly [log: string, errno: number, omitted: number, reason: string, where: string])[] = [
  ['6.18-scalar', EACCES, 3, "R2 invalid mem access 'scalar'", '1: (79) r0 = *(u64 *)(r2 +8) (why 1)'],
  ['6.18-map-value', EACCES, 9,
    'R0 min value is outside of the allowed memory range', '7: (79) r1 = *(u64 *)(r0 +8) (why 7)'],
  ['6.18-branch', EACCES, 4, 'R2 !read_ok', '3: (bf) r0 = r2 (why 3)'],
  ['6.18-branch-level2', EACCES, 16, 'R2 !read_ok', '3: (bf) r0 = r2 (why 3)'],
  ['6.18-beyond-struct', EACCES, 5,
    'access beyond struct sock at off 32232 size 8', '1: (79) r0 = *(u64 *)(r6 +32232) (why 1)'],
  ['6.18-helper', EINVAL, 3,
    'program of this type cannot use helper bpf_redirect#23', '1: (85) call bpf_redirect#23 (why 1)'],
  ['7.3-helper', EINVAL, 30,
    'program of this type cannot use helper bpf_probe_read_kernel#113', '14: (85) call bpf_probe_read_kernel#113 (why 14)'],
  ['6.18-loop', EINVAL, 11, 'infinite loop detected at insn 1', '1: (15) if r0 == 0x0 goto pc-1 (why 1)'],
  ['6.18-unreachable', EINVAL, 1, 'unreachable insn 2', ''],
  ['6.18-attach', EINVAL, 1, 'attach_btf_id 1 is not a typedef', ''],
]

for (const [name, errno, omitted, reason, where] of rejections) {
  test(`of the log ${name} the message has the reason, the instruction and our note`, () => {
    const { message } = new VerifierError('tcptop_tx', errno, logOf(name), { notes })
    const lines = `${omitted} ${omitted === 1 ? 'line' : 'lines'} omitted`
    const at = where === '' ? '' : ` at ${where}`
    assert.is(message, `load tcptop_tx: ${errorName(errno)}: ${reason}${at} (${lines}; -v shows all)`)
  })

  test(`the log ${name} is kept to the last letter, with our notes behind the instructions`, () => {
    const log = logOf(name)
    const annotated = new VerifierError('tcptop_tx', errno, log, { notes }).log
    assert.is(annotated.replace(/ {3}<- why \d+$/gm, ''), log)
    for (const line of annotated.split('\n')) {
      const slot = /^(\d+): \([0-9a-f]{2}\)/.exec(line)?.[1]
      assert.is(line.endsWith(`   <- why ${slot}`), slot !== undefined, line)
    }
    assert.is(new VerifierError('tcptop_tx', errno, log).log, log)
  })
}

test('an instruction without a note is shown without one', () => {
  const { message } = new VerifierError('x', EACCES, logOf('6.18-scalar'), { notes: ['why 0'] })
  assert.match(message, "'scalar' at 1: (79) r0 = *(u64 *)(r2 +8) (3 lines")
})

test('a log of nothing but statistics has no reason', () => {
  const { message } = new VerifierError('x', EACCES, 'processed 0 insns (limit 1000000)\n')
  assert.match(message, /^load x: EACCES: the verifier gave no reason/)
})

test('an errno has the kernel’s name, also the one that the kernel should keep to itself', () => {
  assert.is(errorName(constants.errno.EPERM), 'EPERM')
  assert.is(errorName(constants.errno.EAGAIN), 'EAGAIN')
  assert.is(errorName(95), 'EOPNOTSUPP')
  assert.is(errorName(524), 'ENOTSUPP')
  assert.is(errorName(9999), 'errno 9999')
})

test('errors have the fields of Node’s own, and one line each', () => {
  const refused = new SyscallError('bpf(BPF_MAP_CREATE)', constants.errno.EPERM)
  assert.equal([refused.name, refused.syscall, refused.code, refused.errno, refused.message],
    ['SyscallError', 'bpf(BPF_MAP_CREATE)', 'EPERM', constants.errno.EPERM, 'bpf(BPF_MAP_CREATE): EPERM'])
  const rejected = new VerifierError('tcptop_tx', EACCES, logOf('6.18-scalar'))
  assert.instance(rejected, SyscallError)
  assert.equal([rejected.name, rejected.syscall, rejected.code, rejected.program],
    ['VerifierError', 'bpf(BPF_PROG_LOAD)', 'EACCES', 'tcptop_tx'])
  const cause = new Error('no such file')
  const unsupported = new UnsupportedError('fentry', 'Linux 5.5 with BTF', { cause })
  assert.equal([unsupported.name, unsupported.message, unsupported.cause],
    ['UnsupportedError', 'fentry needs Linux 5.5 with BTF', cause])
  assert.is(new UnsupportedError('there is no shim').message, 'there is no shim')
})

test.run()

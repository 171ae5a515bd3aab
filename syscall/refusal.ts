/** A refusal of the verifier as people meet it. */
export interface VerifierRefusal {
  /** How it reads, in some kernel from 5.10 on. */
  readonly pattern: RegExp
  /** What is wrong. */
  readonly meaning: string
  /** How to fix it. */
  readonly remedy: string
}

/** The most common ones; the first that fits is meant. */
const refusals: readonly VerifierRefusal[] = [
  {
    pattern: /invalid mem access '\w+_or_null'|pointer arithmetic on \w+_or_null prohibited/,
    meaning: 'what a call returned is used as a pointer, and it may be 0',
    remedy: 'compare it with 0 right after the call, jeq(r0, 0, …), and use it only on the way on which it is not',
  },
  {
    pattern: /invalid mem access '(scalar|inv)'/,
    meaning: 'a number is used as a pointer: it was calculated, or read from where the verifier does not know the types',
    remedy: 'read the kernel’s memory with call(\'probe_read_kernel\'), or in a program of type tracing, whose arguments have types; '
      + 'keep pointers whole: in registers, or as a u64 on the stack at a multiple of 8',
  },
  {
    pattern: /!read_ok/,
    meaning: 'the register holds nothing on one of the ways that lead here: nobody set it, or it is one of r1 to r5 and there was a call since',
    remedy: 'set it on every way (the line “from … to …” tells which one is meant), r0 before each exit; what calls must not clobber goes into '
      + 'r6 to r9 or onto the stack',
  },
  {
    pattern: /unbounded m(in|ax|emory)|min value is negative/,
    meaning: 'a pointer is moved by a number, or memory has a length, that may be anything',
    remedy: 'bound the number first, and in the register that is added: and(r1, 63), or jgt(r1, 63, …) away from here; a signed one also from below',
  },
  {
    pattern: /invalid access to (map value|memory|packet)|value is outside of the allowed memory range/,
    meaning: 'it reads or writes beyond the end of a map’s value, or of other memory whose size is known',
    remedy: 'compare offset and size with what the map was made with; where a bound was checked, check that it was of the same register, and '
      + 'that nothing was added since; of a packet, compare with its end first',
  },
  {
    pattern: /invalid (indirect )?(read|write|access|zero-sized read)\b.* stack|invalid stack|combined stack size/,
    meaning: 'it reads stack that was never written, or there is no such stack: a function has the 512 bytes below r10',
    remedy: 'write all bytes that are read, also those that a call is pointed to, gaps between fields too; '
      + 'keep what is larger in the value of an array map of one entry',
  },
  {
    pattern: /cannot call GPL-restricted function/,
    meaning: 'the helper is there only for programs whose licence is compatible with the GPL',
    remedy: 'load the program with the license "GPL", if that is what it is',
  },
  {
    pattern: /cannot use helper|unknown func|helper call (might|is not)|calling kernel function .* is not allowed/,
    meaning: 'programs of this type may not call that function, or this kernel does not have it',
    remedy: 'look for another type of program at that point (tracing may call most), or do in user space what the call was for; under lockdown '
      + 'and without CAP_PERFMON bpf_probe_read is gone too',
  },
  {
    pattern: /R\d+ type=\S* expected=|must point to|arg#?\d+ .*expected/,
    meaning: 'an argument of a call is of the wrong kind: a number where a pointer must be, or a pointer to something else',
    remedy: 'compare r1 to r5 with the helper’s declaration (man 7 bpf-helpers): the map comes first, and keys and values by pointers, to the stack for instance; '
      + 'a copy of r10 is moved before the call, add(r2, -4)',
  },
  {
    pattern: /infinite loop detected|back-edge|program is too large|too many (jumps|states)|jumps is too complex/,
    meaning: 'it does not come to an end on every way, or not within the million instructions that the verifier goes through on all ways together',
    remedy: 'let a counter that is set before the loop bound it; leave out what is not needed; put long loops into call(\'loop\') or mayGoto, '
      + 'of which the verifier goes through one turn only',
  },
  {
    pattern: /invalid bpf_context access|dereference of modified ctx ptr/,
    meaning: 'there is no such place in what r1 points to at the start: the context of this type of program at this point',
    remedy: 'of raw tracepoints and tracing programs it has 8 bytes for each argument; read it by an offset of the load, not from a moved pointer',
  },
  {
    pattern: /access beyond (struct|the end of member)|only read is supported|attempts? to (read|access) .* of struct|invalid access to (struct|union)/,
    meaning: 'a structure of the kernel has no such field there, or it may be read alone',
    remedy: 'take offset and size from the BTF of the kernel that runs: parseBtf(…).member(\'sock\', \'sk_protocol\'); a pointer to a larger structure '
      + 'comes from a helper, such as bpf_skc_to_tcp_sock',
  },
  {
    pattern: /Unreleased reference|reference leak/,
    meaning: 'what a call has lent is not given back on some way to the end',
    remedy: 'give it back on every way: bpf_ringbuf_submit or discard what was reserved, bpf_sk_release a socket that was looked up',
  },
  {
    pattern: /unreachable insn|jump out of range|last insn is not an exit/,
    meaning: 'no way leads to an instruction, or one leads out of the program',
    remedy: 'leave out what follows a ja or an exit without a label that something jumps to; end every way with an exit',
  },
]

/** What is known of a refusal, by what the verifier says last; undefined for a rare one. */
export function refusalOf(said: string): VerifierRefusal | undefined {
  return refusals.find(({ pattern }) => pattern.test(said))
}

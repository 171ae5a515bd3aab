import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { debugInfo, lines } from '../../bpf-asm/index.js'
import { openKernel, VerifierError } from '../../syscall/index.js'
import { unless, whyUnprivileged } from '../kit/privilege.js'
import { refuse, refused, type Refused } from './refused.js'

/**
 * What kernels said of the programs in refused.ts, by release. Written by the last test, in a guest or here, into the folder that `RECORD` names;
 * of a long log the end.
 */
const folder = fileURLToPath(new URL('../../../test/fixture/verifier/refused/', import.meta.url))
const [longest, kept] = [200, 40]

/** The instructions of a program by slot, as the kernel's log has them. */
function textsOf({ assembly }: Refused): (string | undefined)[] {
  const texts: string[] = []
  for (const { slot, text } of lines(assembly)) texts[slot] = text
  return texts
}

/** It tells which instruction is at fault, by its note, why the verifier says so, and what that means. */
function teaches({ assembly, meaning, says, name }: Refused, error: VerifierError): void {
  const [way = '', words = ''] = error.explanation.split('\n\n')
  const fault = way.split('\n').find(line => line.startsWith('> ')) ?? ''
  // Of a reference that is not given back, the last instruction is shown, and of a loop any of its own.
  if (name !== 'leak' && name !== 'too-large') {
    const noted = assembly.notes.filter(note => note !== undefined).at(-1)
    assert.ok(fault.endsWith(`   <- ${noted}`), error.explanation)
  }
  assert.match(fault, /^> +\d+: \([0-9a-f]{2}\) /)
  const [said, means, fix] = words.split('\n')
  assert.match(said!, says)
  assert.match(said!, /^The verifier says: (?!\s*R\d+\S*=|last_idx|mark_precise)/)
  assert.match(means!, /^It means: .*\.$/)
  assert.match(means!, meaning)
  assert.match(fix!, /^Fix: .*\.$/)
}

for (const release of readdirSync(folder)) {
  for (const one of refused.filter(({ name }) => existsSync(join(folder, release, `${name}.txt`)))) {
    test(`what Linux ${release} says of ${one.name} is explained`, () => {
      const log = readFileSync(join(folder, release, `${one.name}.txt`), 'utf8')
      teaches(one, new VerifierError('refused', constants.errno.EACCES, log, { notes: one.assembly.notes, texts: textsOf(one) }))
    })
  }
}

test('Linux 6.18 reports each of them, and other kernels most', () => {
  const recorded = (release: string) => readdirSync(join(folder, release)).map(file => file.replace('.txt', '')).sort()
  assert.equal(recorded('6.18'), refused.map(({ name }) => name).sort())
  for (const release of readdirSync(folder)) assert.ok(recorded(release).length > 10, release)
})

const explanationOf = (release: string, name: string) => {
  const one = refused.find(other => other.name === name)!
  const log = readFileSync(join(folder, release, `${name}.txt`), 'utf8')
  return new VerifierError('refused', constants.errno.EACCES, log, { notes: one.assembly.notes, texts: textsOf(one) }).explanation
}

for (const [release, value] of [['5.10', 'map_value_or_null(id=1,off=0,ks=4,vs=8,imm=0)'], ['6.18', 'map_value_or_null(id=1,map=numbers,ks=4,vs=8)']]) {
  test(`the path to the fault, the registers and what follows are shown from the log of Linux ${release}`, () => {
    assert.is(explanationOf(release!, 'or-null').replace(/0x[0-9a-f]{9,}/, '0x0'), `\
      1: (bf) r2 = r10
      2: (07) r2 += -4
      3: (18) r1 = 0x0
      5: (85) call bpf_map_lookup_elem#1
>     6: (79) r1 = *(u64 *)(r0 +0)   <- the count
         r0 is ${value}
      7: (b7) r0 = 0
      8: (95) exit

The verifier says: R0 invalid mem access 'map_value_or_null'
It means: what a call returned is used as a pointer, and it may be 0.
Fix: compare it with 0 right after the call, jeq(r0, 0, …), and use it only on the way on which it is not.`)
  })
}

test('of a call its arguments are shown, of those that still hold something', () => {
  assert.match(explanationOf('6.18', 'argument'), /\n +r1 is map_ptr\(map=numbers,ks=4,vs=8\)\n +r2 is 1\n/)
  assert.not.match(explanationOf('6.18', 'not-set'), /\n +r2 is/)
})

test('of several ways the one that was refused is shown, with the jump that it comes from', () => {
  const log = readFileSync(new URL('../6.18-branch-level2.txt', new URL(`file://${folder}`)), 'utf8')
  const [way] = new VerifierError('x', constants.errno.EACCES, log).explanation.split('\n\n')
  assert.is(way, `\
      1: (55) if r6 != 0x0 goto pc+1
         from 1 to 3
>     3: (bf) r0 = r2`)
})

test('a program that is refused before its first instruction is shown at the one that is named', () => {
  assert.match(explanationOf('6.18', 'unreachable'), /^> +1: \(b7\) r1 = 1 {3}<- forgotten\n +2: \(b7\) r0 = 0\n +3: \(95\) exit\n\n/)
})

test('registers are shown only if the log has them from the beginning: those at a jump may be stale', () => {
  const log = '0: (79) r0 = *(u64 *)(r1 +0)\n1: (15) if r0 == 0x0 goto pc+1\n R0_w=inv(id=0) R10=fp0\n2: (bf) r0 = r10\n3: (79) r0 = *(u64 *)(r0 +8)\nno\n'
  const explained = (log: string) => new VerifierError('x', constants.errno.EACCES, log).explanation
  assert.not.match(explained(log), / r0 is /)
  assert.match(explained(`0: R1=ctx(id=0) R10=fp0\n${log}`), / r0 is inv\(id=0\)/)
})

test('an uncommon refusal is reported in the verifier’s words', () => {
  const { explanation } = new VerifierError('x', constants.errno.EACCES, '0: (95) exit\nnever heard of that\nprocessed 1 insns\n')
  assert.is(explanation, '>     0: (95) exit\n\nThe verifier says: never heard of that')
  assert.is(new VerifierError('x', constants.errno.EACCES, 'no\n').explanation, 'The verifier says: no')
})

const reason = whyUnprivileged()

for (const one of refused) {
  const title = `this kernel refuses ${one.name}, and it is explained`
  test(title, unless(reason, title, () => {
    const kernel = openKernel()
    const { notes } = one.assembly
    teaches(one, refuse(kernel, one, { notes, debug: () => debugInfo(one.assembly, 'refused') }))
    const record = process.env.RECORD
    if (record !== undefined) {
      mkdirSync(record, { recursive: true })
      const log = refuse(kernel, one).log.split('\n')
      writeFileSync(join(record, `${one.name}.txt`), (log.length > longest ? log.slice(-kept) : log).join('\n'))
    }
    assert.is(kernel.open, 0, 'descriptors left open')
  }))
}

test.run()

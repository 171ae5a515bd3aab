import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  assemble, type Assembly, callFunction, debugInfo, decode, encode, exit, jeq, label, load, loadFunction, loadImm64, mov, note, parseBtf,
  placed, placeOf, r0, r1, type SourceLine,
} from '../../bpf-asm/index.js'

const words = (bytes: Uint8Array) => [...new Uint32Array(bytes.slice().buffer)]

/** A string of a BTF blob: the second section. */
function stringAt(btf: Uint8Array, offset: number): string {
  const view = new DataView(btf.buffer)
  const start = view.getUint32(4, true) + view.getUint32(16, true) + offset
  return new TextDecoder().decode(btf.subarray(start, btf.indexOf(0, start)))
}

/** The line information as one reads it: slot, file, line and column, text. */
function linesOf(assembly: Assembly, sourceOf?: (place: SourceLine) => SourceLine) {
  const { btf, lineInfo } = debugInfo(assembly, 'main', sourceOf)
  const numbers = words(lineInfo)
  return Array.from({ length: numbers.length / 4 }, (_, row) => {
    const [slot, file, text, where] = numbers.slice(4 * row) as [number, number, number, number]
    return [slot, stringAt(btf, file), where >>> 10, where & 0x3ff, stringAt(btf, text)] as const
  })
}

/** As if everything of this test stood on lines of one file: the first place in line 1. */
function numbered(): (place: SourceLine) => SourceLine {
  const seen: string[] = []
  return place => {
    const { file, line, column } = place
    if (!file.endsWith('/test/bpf-asm/debug.js')) return place
    const key = `${line}:${column}`
    if (!seen.includes(key)) seen.push(key)
    return { file: 'a.ts', line: seen.indexOf(key) + 1, column: 7, text: 'what stands there' }
  }
}

test('an instruction knows where it was emitted: outside of the emitters', () => {
  for (const insn of [mov(r0, 0), jeq(r0, 0, 'x'), load(r0, 'u8', r1, 0), loadImm64(r0, 1), callFunction('x'), exit()]) {
    const place = placeOf(insn)
    assert.match(place!.file, /\/test\/bpf-asm\/debug\.js$/)
    assert.is(place!.line, placeOf(mov(r0, 0))!.line - 3)
  }
})

test('code that is yet to be made knows it when it is made again, and what was decoded does not', () => {
  const assembly = assemble(() => [note('why', mov(r0, 0)), exit()])
  assert.is(placeOf(assembly.insns[0]!), undefined)
  assert.match(placeOf(placed(assembly).insns[0]!)!.file, /debug\.js$/)
  assert.equal(linesOf(assembly, numbered()).map(([slot]) => slot), [0, 1])
  const decoded = decode(encode(assembly))
  assert.equal([placed(decoded), placeOf(decoded.insns[0]!)], [decoded, undefined])
})

test('each line has its slot, its file, what stands there and the note; what is of the same line has none of its own', () => {
  const twice = [0, 1].map(value => mov(r0, value))
  const assembly = assemble([loadImm64(r1, 1), twice, note('why', mov(r0, 2)), exit()])
  assert.equal(linesOf(assembly, numbered()), [
    [0, 'a.ts', 1, 7, 'what stands there'],
    [2, 'a.ts', 2, 7, 'what stands there'],
    [4, 'a.ts', 3, 7, 'what stands there // why'],
    [5, 'a.ts', 4, 7, 'what stands there'],
  ])
})

test('a note that the source line contains is not repeated, and is shown if the line is unknown', () => {
  const assembly = assemble([note('why', exit())])
  const [file, line, column] = ['a.ts', 1, 1]
  assert.equal(linesOf(assembly, () => ({ file, line, column, text: "note('why', exit())" })), [[0, file, 1, 1, "note('why', exit())"]])
  assert.equal(linesOf(assembly, () => ({ file, line, column })), [[0, file, 1, 1, 'why']])
})

test('every function has its name, as C allows it, and a line at its start', () => {
  const body = (name: string) => [label(name), [mov(r0, 0), exit()]]
  const assembly = assemble([callFunction('second one'), loadFunction(r1, '1st'), exit(), body('1st'), body('second one')])
  const { btf, funcInfo } = debugInfo(assembly, 'main')
  const parsed = parseBtf(btf)
  const functions = words(funcInfo)
  assert.equal([functions[0], functions[2], functions[4]], [0, 4, 6])
  assert.equal([1, 3, 5].map(index => parsed.nameOf(functions[index]!)), ['main', '_1st', 'second_one'])
  assert.equal(parsed.func('main')!.params, [])
  assert.is(parsed.nameOf(parsed.func('main')!.returns), 'int')
  const one = linesOf(assembly, () => ({ file: 'a.ts', line: 1, column: 1 }))
  assert.equal(one.map(([slot]) => slot), [0, 4, 6])
})

test('numbers that do not fit the kernel’s field are cut, and a program without places has lines without', () => {
  assert.equal(linesOf(assemble([exit()]), () => ({ file: 'a.ts', line: 1e7, column: 1e4 })), [[0, 'a.ts', 2 ** 22 - 1, 1023, '']])
  assert.equal(linesOf(decode(encode(assemble(exit())))), [[0, '', 0, 0, '']])
})

test.run()

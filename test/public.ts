import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { matchesGolden } from './kit/golden.js'

/** Up from dist/test/. */
const root = fileURLToPath(new URL('../..', import.meta.url))
const { version, exports: doors } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { version: string; exports: Record<string, string | { readonly types: string }> }
const typesOf = (door: (typeof doors)[string]) => typeof door === 'string' ? door.replace(/\.js$/, '.d.ts') : door.types
const houses = Object.entries(doors).map(([door, path]) => ({ name: door.replace('./', ''), path: root + typesOf(path).replace('./', '') }))
  .filter(({ path }) => path.endsWith('.d.ts'))
const program = ts.createProgram(houses.map(({ path }) => path), { module: ts.ModuleKind.NodeNext, target: ts.ScriptTarget.ES2022, strict: true })
const checker = program.getTypeChecker()

const resolved = (symbol: ts.Symbol) => symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol

/** What a door lets through, in alphabetical order. */
function exportsOf(path: string): { readonly name: string; readonly symbol: ts.Symbol }[] {
  const module = checker.getSymbolAtLocation(program.getSourceFile(path)!)!
  return checker.getExportsOfModule(module).map(symbol => ({ name: symbol.name, symbol: resolved(symbol) }))
    .sort((a, b) => a.name < b.name ? -1 : 1)
}

const open = houses.map(({ name, path }) => ({ name, exports: exportsOf(path) }))
const all = open.flatMap(({ exports }) => exports)

function kindOf({ flags }: ts.Symbol): string {
  if (flags & ts.SymbolFlags.Class) return 'class'
  if (flags & ts.SymbolFlags.Function) return 'function'
  return flags & ts.SymbolFlags.Variable ? 'const' : 'type'
}

/** The types of ours that a declaration names. */
function named(node: ts.Node): { readonly name: string; readonly symbol: ts.Symbol }[] {
  const identifier = ts.isTypeReferenceNode(node) ? node.typeName : ts.isExpressionWithTypeArguments(node) ? node.expression : undefined
  const symbol = identifier === undefined ? undefined : checker.getSymbolAtLocation(identifier)
  const own = symbol === undefined ? [] : [{ name: symbol.name, symbol: resolved(symbol) }]
  const inside: ReturnType<typeof named>[] = []
  node.forEachChild(child => void inside.push(named(child)))
  return [...own, ...inside.flat()].filter(({ symbol }) =>
    !(symbol.flags & ts.SymbolFlags.TypeParameter) && symbol.declarations?.some(at => at.getSourceFile().fileName.startsWith(`${root}dist/`)))
}

test('the public names are those that were agreed upon: another one is a new version', () => {
  const [major, minor] = version.split('.')
  const lines = open.flatMap(({ name, exports }) => [`\ntcptop/${name}`, ...exports.map(({ name, symbol }) => `  ${kindOf(symbol)} ${name}`)])
  matchesGolden([`${major}.${minor}`, ...lines, ''].join('\n'), 'public.txt')
})

test('whatever a public declaration names is public', () => {
  const leaks = open.flatMap(({ name: house, exports }) => exports.flatMap(({ name, symbol }) =>
    (symbol.declarations ?? []).flatMap(named).filter(found => !all.some(({ symbol }) => symbol === found.symbol))
      .map(found => `tcptop/${house}: ${name} names ${found.name}`)))
  assert.equal([...new Set(leaks)], [])
})

test('everything public is documented', () => {
  const silent = open.flatMap(({ name: house, exports }) =>
    exports.filter(({ symbol }) => symbol.getDocumentationComment(checker).length === 0).map(({ name }) => `tcptop/${house}: ${name}`))
  assert.equal(silent, [])
})

test.run()

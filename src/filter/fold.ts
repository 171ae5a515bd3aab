import { joinNetworks, type Network } from './address.js'
import { always, type Expression, type Folded, join, never, not, type Term, type Test } from './expression.js'
import { numberFields } from './field.js'
import { print } from './print.js'
import { difference, intersection, type RangeSet, union } from './range.js'

const loopback: readonly Network[] = [{ family: 4, bits: 0x7f00_0000, length: 8 }, { family: 6, bits: 1n, length: 128 }]

/**
 * The normal form of a filter, which holds where the filter does:
 *
 * - `port`, `host`, `net` and `loopback` are about either end: here as `or` of conditions on each, so that their negation is about both;
 * - a condition is negated by a `not` around it alone, which is around nothing else. Its operator does not negate it: `pid != 1` holds where the
 *   process is not known, as its value is not 1 there, and so does `not pid = 1`, but `pid = 0,2-4194304` does not;
 * - what follows from one field alone is one condition: numbers and ranges are one set, as are networks, names that are joined by `or`;
 * - constants are alone, without anything around them; no `and` is directly in an `and`, no `or` in an `or`; nothing is in either twice.
 */
export function fold(expression: Expression): Folded {
  return normal(expression, false)
}

function normal(expression: Expression, isNegated: boolean): Folded {
  switch (expression.kind) {
    case 'constant':
      return expression.value === isNegated ? never : always
    case 'not':
      return normal(expression.of, !isNegated)
    case 'and':
    case 'or': {
      const kind = (expression.kind === 'and') === isNegated ? 'or' : 'and'
      return combine(kind, expression.parts.map(part => normal(part, isNegated)))
    }
    default: {
      const tests = testsOf(expression)
      const isNot = isNegated !== ('operator' in expression && expression.operator.startsWith('!'))
      return combine(isNot ? 'and' : 'or', tests.map(test => isNot ? not(test) : test))
    }
  }
}

/** The tests of which any must hold, without regard to `!=` and `!~`. */
function testsOf(term: Term): readonly Test[] {
  switch (term.kind) {
    case 'number': {
      const { kind, field } = term
      const ranges = setOf(term.operator, union(term.ranges), numberFields[field].most)
      return (field === 'port' ? ['sport', 'dport'] as const : [field]).map(field => ({ kind, field, operator: '=', ranges }))
    }
    case 'address':
    case 'loopback': {
      const networks = joinNetworks(term.kind === 'loopback' ? loopback : term.networks)
      const fields = term.kind === 'loopback' || term.field === 'host' ? ['src', 'dst'] as const : [term.field]
      return fields.map(field => ({ kind: 'address', field, operator: '=', networks }))
    }
    case 'name':
      return [{ ...term, operator: term.operator.endsWith('~') ? '~' : '=', names: sorted(term.names) }]
    case 'measure':
      return [{ ...term, operator: term.operator === '!=' ? '=' : term.operator }]
  }
}

/** The numbers that compare so with the one given; those given for `=` and `!=`. */
function setOf(operator: string, given: RangeSet, most: number): RangeSet {
  const [value] = given
  if (value === undefined || operator === '=' || operator === '!=') return given
  const [from, to] = operator.startsWith('<') ? [0, value.from] : [value.from, most]
  const all = [{ from, to }]
  return operator.endsWith('=') ? all : difference(all, given)
}

function sorted(names: readonly string[]): readonly string[] {
  return [...new Set(names)].sort()
}

/** The text of an expression stands for it: equal ones have the same. */
const key = (expression: Folded) => print(expression)

/** Joins parts in normal form. What holds for `or` holds for `and` when all is negated, so only `or` is thought about. */
function combine(kind: 'and' | 'or', parts: readonly Folded[]): Folded {
  const isAnd = kind === 'and'
  const flat = parts.flatMap(part => part.kind === kind ? part.parts : [part])
  const neutral = isAnd ? always : never
  const decisive = isAnd ? never : always
  const different = new Map<string, Folded>()
  for (const part of joinTests(flat, isAnd)) {
    if (part === decisive) return decisive
    if (part !== neutral) different.set(key(part), part)
  }
  const left = [...different.values()]
  if (left.some(part => part.kind === 'not' && different.has(key(part.of)))) return decisive
  return left.length === 0 ? neutral : join(kind, left)
}

/** A test or its negation, as a part of an `or`; the negation of what is a part of an `and`. */
interface Literal {
  readonly test: Test
  readonly isNegated: boolean
}

/** The parts with one in the place of those that are about one field and can be one. */
function joinTests(parts: readonly Folded[], isAnd: boolean): readonly Folded[] {
  const places = new Map<string, Folded | [Literal, ...Literal[]]>()
  for (const part of parts) {
    const test = part.kind === 'not' ? part.of : part
    if (!isTest(test)) {
      places.set(key(part), part)
      continue
    }
    const literal = { test, isNegated: (part.kind === 'not') !== isAnd }
    const name = togetherWith(literal) ?? key(part)
    const same = places.get(name)
    if (Array.isArray(same)) same.push(literal)
    else places.set(name, [literal])
  }
  return [...places.values()].map(place => {
    if (!Array.isArray(place)) return place
    const { test, isNegated } = joinLiterals(place)
    if (test.kind === 'number' && test.ranges.length === 0) return isNegated === isAnd ? never : always
    return isNegated === isAnd ? test : not(test)
  })
}

function isTest(expression: Folded): expression is Test {
  return !['constant', 'not', 'and', 'or'].includes(expression.kind)
}

/** What a literal has in common with those that it can be one with; undefined where it stays alone. Sets of numbers alone are subtracted from each other. */
function togetherWith({ test, isNegated }: Literal): string | undefined {
  if (test.kind === 'number') return test.field
  return isNegated || test.kind === 'measure' ? undefined : `${test.field} ${test.operator}`
}

/** The literal that holds where any of these does. */
function joinLiterals(literals: readonly [Literal, ...Literal[]]): Literal {
  const [first] = literals
  const { test } = first
  const tests = literals.map(literal => literal.test)
  switch (test.kind) {
    case 'number': {
      const setsOf = (negated: boolean) => literals.flatMap(({ test, isNegated }) => test.kind === 'number' && isNegated === negated ? [test.ranges] : [])
      const [inside, outside] = [union(setsOf(false).flat()), setsOf(true)]
      if (outside.length === 0) return { test: { ...test, ranges: inside }, isNegated: false }
      return { test: { ...test, ranges: difference(outside.reduce(intersection), inside) }, isNegated: true }
    }
    case 'address':
      return { test: { ...test, networks: joinNetworks(tests.flatMap(other => other.kind === 'address' ? other.networks : [])) }, isNegated: first.isNegated }
    case 'name':
      return { test: { ...test, names: sorted(tests.flatMap(other => other.kind === 'name' ? other.names : [])) }, isNegated: first.isNegated }
    case 'measure':
      return first
  }
}

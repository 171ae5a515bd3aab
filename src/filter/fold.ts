import { joinNetworks, type Network } from './address.js'
import { always, type Expression, type Folded, join, never, not, type Term, type Test } from './expression.js'
import { numberFields } from './field.js'
import { print } from './print.js'
import { difference, intersection, type RangeSet, union } from './range.js'

const loopback: readonly Network[] = [{ family: 4, bits: 0x7f00_0000, length: 8 }, { family: 6, bits: 1n, length: 128 }]

/**
 * The normal form of a filter, which passes what the filter passes:
 *
 * - `port`, `host` and `loopback`, which are about either end, become an `or` of one condition for each end; their negation is about both ends;
 * - `not` is around single conditions only, and operators do not negate. A negation is never replaced by the set of all other values: where the
 *   process is unknown, `pid != 1` and `not pid = 1` hold, but `pid = 0,2-4194304` does not;
 * - what is said of one number is one set of ranges. Networks joined by `or` are one set, and so are names;
 * - a constant is the whole filter; an `and` is never a part of an `and` nor an `or` of an `or`, and no part occurs twice.
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

/** The numbers that satisfy the comparison with the one given; for `=` and `!=` those given. */
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

/** Equal expressions have the same text. */
const key = (expression: Folded) => print(expression)

/** Joins parts in normal form. */
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

/** A test or its negation as a part of an `or`. An `and` is treated as the negation of an `or` of negations, so its parts are turned round. */
interface Literal {
  readonly test: Test
  readonly isNegated: boolean
}

/** The parts, those about one field merged where they can be. */
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

/** Literals of the same text are merged; one without stays alone. Only sets of numbers can be subtracted from each other. */
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
      const setsOf = (wanted: boolean) =>
        literals.flatMap(({ test, isNegated }) => test.kind === 'number' && isNegated === wanted ? [test.ranges] : [])
      const [inside, outside] = [union(setsOf(false).flat()), setsOf(true)]
      if (outside.length === 0) return { test: { ...test, ranges: inside }, isNegated: false }
      return { test: { ...test, ranges: difference(outside.reduce(intersection), inside) }, isNegated: true }
    }
    case 'address': {
      const networks = joinNetworks(tests.flatMap(other => other.kind === 'address' ? other.networks : []))
      return { test: { ...test, networks }, isNegated: first.isNegated }
    }
    case 'name': {
      const names = sorted(tests.flatMap(other => other.kind === 'name' ? other.names : []))
      return { test: { ...test, names }, isNegated: first.isNegated }
    }
    case 'measure':
      return first
  }
}

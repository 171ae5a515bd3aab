import { networkText } from './address.js'
import type { Expression, NameTerm, NumberTerm, Term } from './expression.js'
import { measureFields, numberFields, type NumberSpec } from './field.js'

/** Names that need no quotes: with `~` they may have wildcards. */
const plainName = /^[\w.@:%+/-]+$/
const plainGlob = /^[\w.@:%+/*?-]+$/
const reserved = /^(?:and|or|not)$/i

/** The canonical text, from which the parser makes the same expression. Names are in it as they are: make it printable before it is shown. */
export function print(expression: Expression): string {
  switch (expression.kind) {
    case 'constant':
      return expression.value ? 'tcp' : 'not tcp'
    case 'not':
      return `not ${nested(expression.of)}`
    case 'and':
    case 'or':
      return expression.parts.map(nested).join(` ${expression.kind} `)
    default:
      return termText(expression)
  }
}

function nested(expression: Expression): string {
  return expression.kind === 'and' || expression.kind === 'or' ? `(${print(expression)})` : print(expression)
}

function termText(term: Term): string {
  switch (term.kind) {
    case 'number':
      return numberText(term)
    case 'address':
      return `${term.field} ${term.operator} ${term.networks.map(networkText).join()}`
    case 'name':
      return `${term.field} ${term.operator} ${term.names.map(name => nameText(term.operator, name)).join()}`
    case 'loopback':
      return 'loopback'
    case 'measure':
      return `${term.field} ${term.operator} ${measureText(term.field, term.value)}`
  }
}

function numberText({ field, operator, ranges }: NumberTerm): string {
  const { wordOf }: NumberSpec = numberFields[field]
  if (wordOf === undefined) return `${field} ${operator} ${ranges.map(({ from, to }) => from === to ? from : `${from}-${to}`).join()}`
  const words = ranges.flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, index) => wordOf(from + index)))
  return field === 'origin' && operator === '=' && words.length === 1 ? words.join() : `${field} ${operator} ${words.join()}`
}

function nameText(operator: NameTerm['operator'], name: string): string {
  const isPlain = (operator.endsWith('~') ? plainGlob : plainName).test(name) && !reserved.test(name)
  return isPlain ? name : `'${name.replaceAll("'", "''")}'`
}

/** In the greatest unit of which it is a whole number. */
function measureText(field: keyof typeof measureFields, value: number): string {
  const { scale } = measureFields[field]
  const rounded = Math.round(value * scale)
  if (field === 'retrans') return `${rounded / 1000}%`
  const steps = field === 'rtt' ? ['us', 'ms', 's'] : ['B/s', 'kB/s', 'MB/s', 'GB/s']
  let [step, amount] = [0, rounded]
  for (; step < steps.length - 1 && amount > 0 && amount % 1000 === 0; step++) amount /= 1000
  return `${amount}${steps[step]}`
}

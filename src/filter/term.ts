/** Readers of what follows the name of a field: an operator and values. Each throws FilterError. */

import { type Network, readNetwork } from './address.js'
import type { Cursor } from './cursor.js'
import {
  type AddressTerm, always, type Comparison, type Equality, type Expression, join, type Likeness, type MeasureTerm, type NameTerm, not,
  type NumberTerm,
} from './expression.js'
import {
  type MeasureField, measureFields, type MeasureSpec, type NameField, nameFields, type NumberField, numberFields, type NumberSpec, plainWord,
} from './field.js'
import { readGlob } from './glob.js'
import type { Range } from './range.js'
import type { Token } from './token.js'

type PortOf = (name: string) => number | undefined

const comparisons: readonly Comparison[] = ['=', '!=', '<', '>', '<=', '>=']
const equalities: readonly Equality[] = ['=', '!=']
const likenesses: readonly Likeness[] = ['=', '!=', '~', '!~']

/** The greatest measured value, in its smallest unit: JavaScript's numbers are exact up to there. */
const mostMeasured = 1e15
/** `TASK_COMM_LEN` (include/linux/sched.h) without the NUL. */
const commLength = 15
const utf8 = new TextEncoder()

/** The field has one of these values. */
export function isOneOf(field: NumberField, values: readonly number[]): NumberTerm {
  return { kind: 'number', field, operator: '=', ranges: values.map(value => ({ from: value, to: value })) }
}

function unless(operator: Comparison, expression: Expression): Expression {
  return operator === '!=' ? not(expression) : expression
}

/** Numbers, ranges and words: a port, a process, a state … `*` is every port. */
export function readNumber(cursor: Cursor, field: NumberField, portOf: PortOf): Expression {
  const { must, words, isPort = false }: NumberSpec = numberFields[field]
  const operator = cursor.operator(field, words === undefined ? comparisons : equalities)
  const isEquality = operator === '=' || operator === '!='
  const values = cursor.values(field, must)
  if (!isEquality && values[1] !== undefined) throw cursor.wrong(values[1], `${field} ${operator} must have a single value`)
  const isEvery = (token: Token) => isPort && isEquality && token.kind === 'word' && /^:?\*$/.test(token.text)
  const ranges = values.filter(token => !isEvery(token)).flatMap(token => {
    const found = rangesOf(field, token.text, portOf)
    if (found === undefined) throw cursor.wrong(token, `${field} must be ${must}`)
    if (found.some(({ from, to }) => from > to)) throw cursor.wrong(token, 'a range must begin with its lower end')
    if (!isEquality && found.some(({ from, to }) => from < to)) throw cursor.wrong(token, `${field} ${operator} must have a single value`)
    return found
  })
  return values.some(isEvery) ? unless(operator, always) : { kind: 'number', field, operator, ranges }
}

/** The ranges that a word stands for; one may have its ends the wrong way round. Undefined when it stands for none. */
function rangesOf(field: NumberField, text: string, portOf: PortOf): readonly Range[] | undefined {
  const { most, words, isPort = false, link }: NumberSpec = numberFields[field]
  if (words !== undefined) return words.get(plainWord(text))?.map(value => ({ from: value, to: value }))
  const plain = isPort ? text.replace(/^:/, '') : link === undefined ? text : text.replace(link, '$1')
  const [, from, to = from] = /^(\d+)(?:-(\d+))?$/.exec(plain) ?? []
  if (from !== undefined) return Number(from) <= most && Number(to) <= most ? [{ from: Number(from), to: Number(to) }] : undefined
  const port = isPort ? portOf(plain) : undefined
  return port === undefined ? undefined : [{ from: port, to: port }]
}

/** A network, ports or both; a part written `*` is absent. */
interface Place {
  readonly network?: Network
  readonly ports?: readonly Range[]
}

/** Addresses and networks, each with or without a port at the same end. With `mayBePartial`, `10.1` is 10.1.0.0/16. */
export function readAddress(cursor: Cursor, field: AddressTerm['field'], mayBePartial: boolean, portOf: PortOf): Expression {
  const operator = cursor.operator(field, equalities)
  const places = cursor.values(field, 'an address or a network').map(token => readPlace(cursor, field, token, mayBePartial, portOf))
  const networks = places.flatMap(({ network, ports }) => network !== undefined && ports === undefined ? [network] : [])
  if (networks.length === places.length) return { kind: 'address', field, operator, networks }
  const others = places.filter(({ network, ports }) => network === undefined || ports !== undefined)
  return unless(operator, join('or', [
    ...networks.length === 0 ? [] : [{ kind: 'address' as const, field, operator: '=' as const, networks }],
    ...others.map(place => join('or', (field === 'host' ? ['src', 'dst'] as const : [field]).map(end => isAt(end, place)))),
  ]))
}

function isAt(field: 'src' | 'dst', { network, ports }: Place): Expression {
  const port: Expression = ports === undefined ? always : { kind: 'number', field: field === 'src' ? 'sport' : 'dport', operator: '=', ranges: ports }
  if (network === undefined) return port
  const address: Expression = { kind: 'address', field, operator: '=', networks: [network] }
  return ports === undefined ? address : { kind: 'and', parts: [address, port] }
}

function readPlace(cursor: Cursor, field: string, token: Token, mayBePartial: boolean, portOf: PortOf): Place {
  const [address, port] = splitPlace(token.text)
  const network = address === '' || address === '*' ? undefined : readNetwork(address, mayBePartial)
  if ((network === undefined && address !== '*' && address !== '') || (address === '' && port === undefined)) {
    throw cursor.wrong(token, `${field} must be an address or a network`, hintFor(token.text))
  }
  if (port === undefined || port === '*') return network === undefined ? {} : { network }
  const ports = rangesOf('port', port, portOf)
  if (ports === undefined || ports.some(({ from, to }) => from > to)) {
    const at = token.at + token.text.length - port.length
    throw cursor.wrong({ kind: 'word', text: port, at }, `behind the colon must be ${numberFields.port.must}`)
  }
  return network === undefined ? { ports } : { network, ports }
}

/** `ADDRESS`, `ADDRESS:PORT` or `:PORT`. A port follows IPv6 only in brackets or with a length: anything else with two colons is an address. */
function splitPlace(text: string): readonly [address: string, port?: string] {
  const [, inside, behind = '', port6] = /^\[([^\]]+)\](\/\d+)?(?::(.+))?$/.exec(text) ?? []
  if (inside !== undefined) return port6 === undefined ? [inside + behind] : [inside + behind, port6]
  const [, address, port] = /^([^/]+\/\d+)(?::(.+))?$/.exec(text) ?? /^([^:]*)(?::([^:]+))?$/.exec(text) ?? []
  return address === undefined || port === undefined ? [text] : [address, port]
}

/** What the user may have meant by a text that is no address. */
function hintFor(text: string): string {
  const parts = text.split('.').length
  if (/^\d+$/.test(text)) return `: a port is written :${text}`
  if (/^[\d.]+\d$/.test(text) && parts < 4) return `: a network is written net ${text} or ${text}/${8 * parts}`
  return /^[^:/]*[a-z]/i.test(text) ? ': names of hosts are not looked up' : ''
}

/** Names as they are, or globs. */
export function readName(cursor: Cursor, field: NameField): NameTerm {
  const { must } = nameFields[field]
  const operator = cursor.operator(field, likenesses)
  const names = cursor.values(field, must).map(token => {
    const text = field === 'cgroup' ? token.text.replace(/(?!^)\/+$/, '') : token.text
    if (operator.endsWith('~')) {
      if (readGlob(text) === undefined) throw cursor.wrong(token, 'a class of characters must be closed, and its ranges ascend')
    } else if (token.kind === 'word' && /[*?[]/.test(text)) {
      const pattern = `${field} ${operator === '=' ? '~' : '!~'}`
      throw cursor.wrong(token, `${field} ${operator} must be a whole name`, `: for a pattern write ${pattern}, or quote the name`)
    } else if (field === 'comm' && utf8.encode(text).length > commLength) {
      throw cursor.wrong(token, `comm must have at most ${commLength} bytes, at which the kernel cuts names`)
    }
    return text
  })
  return { kind: 'name', field, operator, names }
}

/** A number with its unit. */
export function readMeasure(cursor: Cursor, field: MeasureField): MeasureTerm {
  const { must, units, scale }: MeasureSpec = measureFields[field]
  const operator = cursor.operator(field, comparisons)
  const [token, more] = cursor.values(field, must)
  if (more !== undefined) throw cursor.wrong(more, `${field} must have a single value`)
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?|\.\d+)(.*)$/.exec(token!.text) ?? []
  const amount = Math.round(Number(digits) * (units.get(unit) ?? NaN))
  if (!(amount <= mostMeasured)) throw cursor.wrong(token!, `${field} must be ${must}`)
  return { kind: 'measure', field, operator, value: amount / scale }
}

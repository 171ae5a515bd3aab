import { Cursor, joints, keyword } from './cursor.js'
import { FilterError } from './error.js'
import { always, type Expression, not } from './expression.js'
import { type MeasureField, measureFields, type NameField, nameFields, type NumberField, numberFields } from './field.js'
import { readings } from './reading.js'
import { isOneOf, readAddress, readMeasure, readName, readNumber } from './term.js'
import type { Token } from './token.js'

/** How a filter is read. */
export interface Dialect {
  /** The port of a service; undefined for an unknown name. */
  readonly portOf: (name: string) => number | undefined
  /** Accept conditions that only user space can decide, as the screen does. */
  readonly screen?: boolean
}

/** The filter mixes `and` and `or` without parentheses: the message shows both readings. */
export class MixedError extends FilterError {}

/** How deep parentheses and negations may nest: deeper than anybody types, shallow enough for recursion. */
const deepest = 200

const isNumberField = (word: string): word is NumberField => Object.hasOwn(numberFields, word)
const isNameField = (word: string): word is NameField => Object.hasOwn(nameFields, word)
const isMeasureField = (word: string): word is MeasureField => Object.hasOwn(measureFields, word)
/** Words that begin a condition, as an error lists them, and those that only the screen accepts. */
const conditions = [
  'src', 'dst', 'host', 'net', 'sport', 'dport', 'port', 'pid', 'comm', 'cgroup', 'uid', 'netns', 'mntns', 'family', 'state', 'accepted', 'opened',
  'loopback',
]
const screenConditions = [...Object.keys(measureFields), 'limit']

/**
 * Understands a filter. The grammar is that of ss(8), loosened and extended:
 *
 * ```
 * EXPRESSION := OPERAND { [and | or] OPERAND }         nothing between two is `and`; where both occur, parentheses say which is meant
 * OPERAND    := not OPERAND | ( EXPRESSION ) | FIELD [OPERATOR] VALUE {, VALUE} | accepted | opened | loopback
 * ```
 *
 * Throws FilterError, and MixedError where two readings are possible.
 */
export function parse(text: string, dialect: Dialect): Expression {
  return new Parser(text, dialect).whole()
}

/** A part of a chain, what joins it to the part before, and where both are: at the same place where nothing is between the parts. */
interface Link {
  readonly of: Expression
  readonly joint: 'and' | 'or'
  readonly jointAt: number
  readonly at: number
  readonly end: number
}

class Parser {
  readonly #cursor: Cursor
  readonly #portOf: Dialect['portOf']
  readonly #isScreen: boolean
  #depth = 0

  constructor(text: string, { portOf, screen = false }: Dialect) {
    this.#cursor = new Cursor(text)
    this.#portOf = portOf
    this.#isScreen = screen
  }

  whole(): Expression {
    const expression = this.#chain()
    const { peek } = this.#cursor
    if (peek.kind === 'end') return expression
    throw this.#cursor.wrong(peek, peek.text === ')' ? 'a parenthesis must be opened before it is closed' : 'and, or or a condition must follow')
  }

  #chain(): Expression {
    const links = [this.#link('and', this.#cursor.peek.at)]
    for (;;) {
      const { peek } = this.#cursor
      const joint = joints.get(keyword(peek))
      if (joint === 'and' || joint === 'or') {
        this.#cursor.take()
        links.push(this.#link(joint, peek.at))
      } else if (peek.kind === 'word' || peek.kind === 'quoted' || joint === 'not' || peek.text === '(') links.push(this.#link('and', peek.at))
      else break
    }
    if (links.length === 1) return links[0]!.of
    const { joint } = links[1]!
    const other = links.findIndex((link, index) => index > 1 && link.joint !== joint)
    if (other > 0) throw this.#mixed(links, other)
    this.#refuseSeveralStates(links)
    return { kind: joint, parts: links.map(({ of }) => of) }
  }

  #link(joint: 'and' | 'or', jointAt: number): Link {
    const { at } = this.#cursor.peek
    const of = this.#operand()
    return { of, joint, jointAt, at, end: this.#cursor.end }
  }

  #mixed(links: readonly Link[], other: number): MixedError {
    const { text } = this.#cursor
    const parts = links.map(({ joint, at, end }) => ({ joint, text: text.slice(at, end) }))
    return new MixedError('"and" and "or" are mixed: parentheses must say which of these is meant', text, links[other]!.jointAt, readings(parts, other))
  }

  /** To ss(8) several states in a row mean any of them; here they would mean all of them, which nothing is. */
  #refuseSeveralStates(links: readonly Link[]): void {
    const isState = ({ of }: Link) => of.kind === 'number' && of.field === 'state' && of.operator === '='
    const second = links.find((link, index) => index > 0 && link.jointAt === link.at && isState(link) && isState(links[index - 1]!))
    if (second === undefined) return
    throw this.#cursor.error(second.at, 'states must be a list where any of them is meant: state established,syn-sent')
  }

  #operand(): Expression {
    const { peek } = this.#cursor
    const isNegation = joints.get(keyword(peek)) === 'not'
    if (!isNegation && keyword(peek) !== '(') return this.#condition(this.#cursor.take())
    if (++this.#depth > deepest) throw this.#cursor.error(peek.at, `parentheses and negations must nest at most ${deepest} deep`)
    this.#cursor.take()
    const inside = isNegation ? not(this.#operand()) : this.#chain()
    if (!isNegation && !this.#cursor.takeSign(')')) {
      throw this.#cursor.wrong(this.#cursor.peek, `the parenthesis in column ${peek.at + 1} must be closed`)
    }
    this.#depth--
    return inside
  }

  #condition(token: Token): Expression {
    const word = token.kind === 'word' ? keyword(token) : ''
    switch (word) {
      case 'accepted':
      case 'opened':
        return isOneOf('origin', numberFields.origin.words.get(word)!)
      case 'loopback':
        return { kind: 'loopback' }
      case 'tcp':
        return always
      case 'ip':
      case 'ip6':
        return isOneOf('family', numberFields.family.words.get(word)!)
      case 'exclude':
        return not(readNumber(this.#cursor, 'state', this.#portOf))
      case 'src':
      case 'dst':
        return this.#end(word)
      case 'host':
      case 'net':
        return readAddress(this.#cursor, 'host', word === 'net', this.#portOf)
      case 'portrange':
        return readNumber(this.#cursor, 'port', this.#portOf)
    }
    if (!this.#isScreen && screenConditions.includes(word)) {
      throw this.#cursor.error(token.at, `${word} is measured in user space: filter by it on the screen, with the key /`)
    }
    if (isNumberField(word)) return readNumber(this.#cursor, word, this.#portOf)
    if (isNameField(word)) return readName(this.#cursor, word)
    if (isMeasureField(word)) return readMeasure(this.#cursor, word)
    const known = this.#isScreen ? [...conditions, ...screenConditions] : conditions
    const hint = /^[\d.:[]/.test(word) ? ': several values are written with commas' : ''
    throw this.#cursor.wrong(token, `a condition must begin with one of ${known.join(' ')}`, hint)
  }

  /** What follows `src` or `dst`: an address, or as in pcap-filter(7) `host`, `net`, `port` or `portrange` first. */
  #end(end: 'src' | 'dst'): Expression {
    const word = keyword(this.#cursor.peek)
    const isPort = word === 'port' || word === 'portrange'
    if (isPort || word === 'host' || word === 'net') this.#cursor.take()
    return isPort ? readNumber(this.#cursor, end === 'src' ? 'sport' : 'dport', this.#portOf)
      : readAddress(this.#cursor, end, word === 'net', this.#portOf)
  }
}

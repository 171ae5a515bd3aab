import { FilterError } from './error.js'
import { type Token, tokens } from './token.js'

/** Words and signs between conditions. */
export const joints: ReadonlyMap<string, 'and' | 'or' | 'not'> = new Map(
  [['and', 'and'], ['&', 'and'], ['&&', 'and'], ['or', 'or'], ['|', 'or'], ['||', 'or'], ['not', 'not'], ['!', 'not']],
)

const operators: ReadonlyMap<string, string> = new Map(([
  ['=', ['=', '==', 'eq']], ['!=', ['!=', 'ne', 'neq']], ['<', ['<', 'lt']], ['>', ['>', 'gt']], ['<=', ['<=', 'le', 'leq']],
  ['>=', ['>=', 'ge', 'geq']], ['~', ['~']], ['!~', ['!~']],
] as const).flatMap(([operator, texts]) => texts.map(text => [text, operator] as const)))

/** At most so many characters of a word are in an error. */
const longestWord = 60

/** The place in a filter up to which it is read. */
export class Cursor {
  readonly text: string
  readonly #tokens: readonly Token[]
  #next = 0

  constructor(text: string) {
    this.text = text
    this.#tokens = tokens(text)
  }

  /** The token that comes next. */
  get peek(): Token {
    return this.#tokens[this.#next]!
  }

  /** Where the token that was taken last ends. */
  get end(): number {
    return this.#tokens[this.#next - 1]?.end ?? 0
  }

  take(): Token {
    const token = this.peek
    if (token.kind !== 'end') this.#next++
    return token
  }

  /** Whether the next token is this sign; if so, it is taken. */
  takeSign(sign: string): boolean {
    const isThere = this.peek.kind === 'sign' && this.peek.text === sign
    if (isThere) this.take()
    return isThere
  }

  /** The operator, which must be among those allowed; `=` where there is none. */
  operator<Operator extends string>(field: string, allowed: readonly Operator[]): Operator {
    const token = this.peek
    const found = operators.get(keyword(token))
    if (found === undefined) return '=' as Operator
    const operator = allowed.find(one => one === found)
    if (operator === undefined) throw this.wrong(token, `${field} must be compared by ${allowed.join(' ')}`)
    this.take()
    return operator
  }

  /** One value or several, with commas between them. */
  values(field: string, must: string): readonly Token[] {
    const values: Token[] = []
    do {
      const token = this.take()
      const isValue = (token.kind === 'word' || token.kind === 'quoted') && token.text !== '' && !joints.has(keyword(token))
      if (!isValue) throw this.wrong(token, `${field} must be ${must}`)
      values.push(token)
    } while (this.takeSign(','))
    return values
  }

  /** The error of something at a place. */
  error(at: number, message: string): FilterError {
    return new FilterError(message, this.text, at)
  }

  /** The error of a token that is not what it must be. */
  wrong({ kind, text, at }: Pick<Token, 'kind' | 'text' | 'at'>, must: string, hint = ''): FilterError {
    const shown = text.length > longestWord ? `${text.slice(0, longestWord)}…` : text
    return this.error(at, `${must}, got ${kind === 'end' ? 'nothing' : JSON.stringify(shown)}${hint}`)
  }
}

/** What a word or sign says, in lower case; nothing of a quoted word. */
export function keyword({ kind, text }: Token): string {
  return kind === 'word' || kind === 'sign' ? text.toLowerCase() : ''
}

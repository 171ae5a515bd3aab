import type { Network } from './address.js'
import { type Aspect, type MeasureField, type NameField, type NumberField, numberFields } from './field.js'
import type { Range, RangeSet } from './range.js'

export type Equality = '=' | '!='
export type Comparison = Equality | '<' | '>' | '<=' | '>='
export type Likeness = Equality | '~' | '!~'

/** A filter, made of terms. `and` and `or` have at least two parts when they come from the parser. */
export type Expression<Leaf = Term> =
  | { readonly kind: 'constant'; readonly value: boolean }
  | { readonly kind: 'not'; readonly of: Expression<Leaf> }
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Expression<Leaf>[] }
  | Leaf

/** A number, or a word that stands for one, is in one of the ranges. `<`, `>`, `<=` and `>=` have a single range of one number. */
export interface NumberTerm<Field = NumberField, Operator = Comparison> {
  readonly kind: 'number'
  readonly field: Field
  readonly operator: Operator
  readonly ranges: readonly Range[]
}

/** The local address, the remote one, or either of them is in one of the networks. */
export interface AddressTerm<Field = 'src' | 'dst' | 'host', Operator = Equality> {
  readonly kind: 'address'
  readonly field: Field
  readonly operator: Operator
  readonly networks: readonly Network[]
}

/**
 * A name is one of those given or, with `~`, matches one of the globs. The name of a cgroup is its path; the term holds for the cgroups below, too,
 * and a path without a leading `/` may begin at any component.
 */
export interface NameTerm<Operator = Likeness> {
  readonly kind: 'name'
  readonly field: NameField
  readonly operator: Operator
  readonly names: readonly string[]
}

/** Either end is in 127.0.0.0/8 or ::1. */
export interface LoopbackTerm {
  readonly kind: 'loopback'
}

/** A measured value: bytes a second, seconds, or a share of 1. User space decides it. */
export interface MeasureTerm<Operator = Comparison> {
  readonly kind: 'measure'
  readonly field: MeasureField
  readonly operator: Operator
  readonly value: number
}

/** A condition as the user wrote it. */
export type Term = NumberTerm | AddressTerm | NameTerm | LoopbackTerm | MeasureTerm

/** A condition of a folded filter: about one end, not negated by its operator, with numbers and networks as sets. Each is also a term. */
export type Test =
  | (NumberTerm<Exclude<NumberField, 'port'>, '='> & { readonly ranges: RangeSet })
  | AddressTerm<'src' | 'dst', '='>
  | NameTerm<'=' | '~'>
  | MeasureTerm<Exclude<Comparison, '!='>>

/** A filter in normal form, which `fold` describes. */
export type Folded = Expression<Test>

export const always = Object.freeze({ kind: 'constant', value: true } as const)
export const never = Object.freeze({ kind: 'constant', value: false } as const)

/** The expression that holds where this one does not. */
export function not<Leaf>(of: Expression<Leaf>): Expression<Leaf> {
  return { kind: 'not', of }
}

/** All parts, or any of them: a part alone is itself. */
export function join<Leaf>(kind: 'and' | 'or', parts: readonly Expression<Leaf>[]): Expression<Leaf> {
  return parts.length === 1 ? parts[0]! : { kind, parts }
}

/** All terms, in the order of the text. */
export function terms(expression: Expression): readonly Term[] {
  switch (expression.kind) {
    case 'constant':
      return []
    case 'not':
      return terms(expression.of)
    case 'and':
    case 'or':
      return expression.parts.flatMap(terms)
    default:
      return [expression]
  }
}

/** When the term is decided. */
export function aspectOf(term: Term): Aspect {
  switch (term.kind) {
    case 'number':
      return numberFields[term.field].aspect
    case 'name':
      return 'process'
    case 'measure':
      return 'screen'
    case 'address':
    case 'loopback':
      return 'connection'
  }
}

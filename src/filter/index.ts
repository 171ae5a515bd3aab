/**
 * The filter language: text → `parse` → an expression of terms as written → `fold` → the normal form, which is what is compiled, and which
 * `matcher` makes a function of for rows in user space. Nothing here looks at the host: services are looked up by who calls.
 */

export type { Network } from './address.js'
export { FilterError } from './error.js'
export { type Matcher, matcher, type Subject } from './evaluate.js'
export {
  type AddressTerm, aspectOf, type Expression, type Folded, join, type MeasureTerm, type NameTerm, not, type NumberTerm, type Term, terms, type Test,
} from './expression.js'
export { type Aspect, type MeasureField, type NameField, type NumberField } from './field.js'
export { fold } from './fold.js'
export { type Glob, matchesGlob, readGlob } from './glob.js'
export { type Dialect, MixedError, parse } from './parse.js'
export { print } from './print.js'
export type { Range, RangeSet } from './range.js'
export { servicePorts } from './service.js'
export { splitWords, type Words } from './words.js'

/**
 * The filter language. `parse` reads a text into an expression of terms as written; `fold` brings it into the normal form from which code is
 * compiled; `matcher` makes a function of it for rows in user space; `print` gives the canonical text of both. Nothing here touches the host: the
 * caller passes in how services are looked up.
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

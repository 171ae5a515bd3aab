export { type Aggregate, loadAggregate, type Sort } from './aggregate.js'
export { type Clock, trace } from './frames.js'
export { type Frame, missedText, type Row } from './row.js'

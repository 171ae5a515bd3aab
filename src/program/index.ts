export { type Context, mapName } from './context.js'
export { type Field, fieldsOf } from './field.js'
export { choosesProcesses, type Filter } from './filter.js'
export { consumedBy, destroyed, received, seedFile, seedSocket, sent, stateSet } from './hook.js'

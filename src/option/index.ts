export { type Options, parseOptions } from './options.js'
export { cgroupSet, mistaken, mntnsSet, type NamedSet, openSet, pinSets, SetAppeared } from './set.js'

export { type LiveWorld, liveScreen } from './screen.js'

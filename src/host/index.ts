export { advice, adviceOn, capabilitiesOf, forbidden, isHelpedByRoot, lack, type Power, powerOf, unexplained } from './advice.js'
export { giveUp, needed } from './privilege.js'
export { tcpServices } from './service.js'
export { abilities, type Abilities, openTty, type Size, type Tty } from './tty.js'

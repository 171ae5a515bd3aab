export { type Host, lookAt, type HostAccess } from './host.js'
export { type Report, reportJson, reportOf, reportText } from './report.js'
export { selfCheck } from './self-check.js'

// ES modules get the very functions that CommonJS gets.
export { sessionApiDriver, sessionApiDriver as default, SessionApiError } from './unstorage.js'
export type { SessionApiDriverOptions } from './unstorage.js'

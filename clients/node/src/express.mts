// ES modules get the very classes that CommonJS gets, so that instanceof holds across both.
export { SessionApiStore, SessionApiStore as default, SessionApiError } from './express.js'
export type { SessionApiStoreOptions, User } from './express.js'

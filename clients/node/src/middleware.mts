// ES modules get the very functions that CommonJS gets.
export { requireSession, sessionVerifier, withSession } from './middleware.js'
export type {
  Identity,
  Refusal,
  RequireSessionOptions,
  SessionRule,
  Verdict,
  VerifyOptions,
  WithSessionOptions,
} from './middleware.js'

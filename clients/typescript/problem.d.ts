import type { components } from './schema.js'

type Problem = components['schemas']['Problem']

/**
 * What went wrong: a code of the service, or one of this client. `unreachable`: no answer came, and a
 * change that was asked for may have happened or not. `timeout`: the same, after the time that was given.
 * `unexpected_answer`: something else than session-api answered. Later versions of the service may have
 * more codes.
 */
export type SessionApiErrorCode = Problem['code'] | 'unreachable' | 'timeout' | 'unexpected_answer'

/** What went wrong with a request. Its message is for people; decide by the class or the `code`. */
export class SessionApiError<Code extends SessionApiErrorCode = SessionApiErrorCode> extends Error {
  constructor(
    problem: Pick<Problem, 'status'> & Partial<Omit<Problem, 'code'>> & { code: Code },
    more?: { retryAfterMs?: number | undefined; cause?: unknown },
  )
  readonly code: Code
  /** The status of the answer, 0 where there was none. */
  readonly status: number
  /** With `validation_failed`: what the service does not take, and where. */
  readonly errors: readonly components['schemas']['ProblemError'][]
  /** Names the request in the service's log; empty where no answer came. */
  readonly requestId: string
  /** How long the service asks to wait before the next attempt, where it does. */
  readonly retryAfterMs: number | undefined
}

/** There is no live session, or none that the request's credentials open (401). */
export class SignedOutError extends SessionApiError {}

/** Somebody else has changed the session meanwhile (412). */
export class PreconditionFailedError extends SessionApiError {}

/** The service does not take the contents (422). */
export class ValidationError extends SessionApiError {}

/** The service cannot answer now, or cannot be reached (503, `unreachable`, `timeout`). */
export class UnavailableError extends SessionApiError {}

/**
 * Whether an error is a SessionApiError, and has one of the codes, if there are any. It also knows the
 * errors of another copy of this package, which `instanceof` does not.
 */
export function isSessionApiError<Code extends SessionApiErrorCode = SessionApiErrorCode>(
  error: unknown,
  ...codes: readonly Code[]
): error is SessionApiError<Code>

/**
 * The error that an answer of `createSessionClient`'s methods stands for, to be thrown; undefined for
 * one of success and for 304.
 */
export function errorOf(answer: { error?: unknown; response: Response }): SessionApiError | undefined

// Classes of one package may be loaded twice, as an ES module and as CommonJS: what asks by this knows both.
const brand = Symbol.for('session-api-client.error')

/** What went wrong with a request. */
export class SessionApiError extends Error {
  name = 'SessionApiError' // written out, because minifiers rename classes

  constructor(problem, { retryAfterMs, cause } = {}) {
    const { code, status = 0, title, detail, errors = [], requestId = '' } = problem
    super(`session-api: ${detail ?? title ?? code}`, cause === undefined ? undefined : { cause })
    this.code = code
    this.status = status
    this.errors = errors
    this.requestId = requestId
    this.retryAfterMs = retryAfterMs
  }

  get [brand]() {
    return true
  }
}

export class SignedOutError extends SessionApiError {
  name = 'SignedOutError'
}

export class PreconditionFailedError extends SessionApiError {
  name = 'PreconditionFailedError'
}

export class ValidationError extends SessionApiError {
  name = 'ValidationError'
}

export class UnavailableError extends SessionApiError {
  name = 'UnavailableError'
}


/** Whether an error is of this package, and has one of the codes, if there are any. */
export function isSessionApiError(error, ...codes) {
  return error instanceof Error && error[brand] === true && (codes.length === 0 || codes.includes(error.code))
}

/** What an answer without success stands for; undefined where it is one of success, or 304. */
export function errorOf({ error, response }) {
  if (response.ok || response.status === 304) return undefined
  return problemError(error, response)
}

/** The error of a problem document, or of an answer that has none. */
export function problemError(body, response) {
  const isProblem = typeof body?.code === 'string'
  const problem = isProblem
    ? { ...body, status: response.status }
    : {
        code: 'unexpected_answer',
        status: response.status,
        detail: `an answer of status ${response.status} that is none of session-api`,
        requestId: response.headers.get('X-Request-Id') ?? '',
      }
  return new (classOf(problem.code, problem.status))(problem, { retryAfterMs: retryAfter(response.headers) })
}

/** A later version of the service may have other codes: then the status decides. */
function classOf(code, status) {
  if (code === 'unexpected_answer') return status === 503 ? UnavailableError : SessionApiError
  if (status === 401 && code !== 'insufficient_user_authentication') return SignedOutError
  if (status === 412) return PreconditionFailedError
  if (status === 422) return ValidationError
  if (status === 503) return UnavailableError
  return SessionApiError
}

/** Milliseconds that an answer asks to wait for: Retry-After is in seconds, or a date (RFC 9110, 10.2.3). */
export function retryAfter(headers) {
  const value = headers.get('Retry-After')?.trim()
  if (!value) return undefined
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now()
  return Number.isNaN(ms) ? undefined : Math.max(0, ms)
}

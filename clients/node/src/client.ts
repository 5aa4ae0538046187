import { address, credential, hold, variable } from './options.js'

/** What a SessionApiError knows of the answer that it stands for. */
export interface FailedAnswer {
  httpStatus?: number
  requestId?: string
  errors?: FieldError[]
}

/** One thing that is wrong with a body, and where: `pointer` is a JSON Pointer. */
export interface FieldError {
  pointer: string
  detail: string
}

/** A call of the service that did not work. Its message never holds the service token. */
export class SessionApiError extends Error {
  override readonly name = 'SessionApiError'
  /**
   * What happened: the `code` of the service's problem document, or one of `timeout`, `unreachable`,
   * `unexpected_answer` (something else than session-api answered) and `invalid_id`.
   */
  readonly code: string
  /**
   * The status that the service answered, 0 where it did not. It is not called `status`, because web
   * frameworks answer their visitors with that: a wrong service token would become the visitor's 401.
   */
  readonly httpStatus: number
  /** Names the request in the service's log; empty where there was no answer. */
  readonly requestId: string
  /** With `validation_failed`: what the service does not take. */
  readonly errors: FieldError[]

  constructor(code: string, message: string, answer: FailedAnswer = {}) {
    super(message)
    this.code = code
    this.httpStatus = answer.httpStatus ?? 0
    this.requestId = answer.requestId ?? ''
    this.errors = answer.errors ?? []
  }
}

/** Where the service is, and on whose behalf it is asked. */
export interface ConnectOptions {
  /**
   * Where session-api is; the variable SESSION_API_URL or else `http://127.0.0.1:8080` by default. It may
   * have a path.
   */
  url?: string | undefined
  /**
   * A service token; the variable SESSION_API_TOKEN by default. Without one only a service that has none
   * configured answers.
   */
  token?: string | undefined
  /** The group of sessions that belongs to this app: 1 to 32 of `a-z`, `0-9` and `-`. */
  namespace?: string | undefined
  /** Milliseconds after which a call is given up, with all its repeats; 5000 by default. */
  timeout?: number | undefined
  /**
   * How often a request is repeated where the service cannot be reached, answers 503 or is still at it; 0
   * by default. What changes something has an `Idempotency-Key` then, the same for its repeats: the service
   * does it once, and remembers the answer, which costs it two more accesses to its store.
   */
  retries?: number | undefined
  /** Another fetch than the global one. */
  fetch?: typeof globalThis.fetch | undefined
}

/** The members of a session document that matter here. */
export interface Document {
  id: string
  createdAt: string
  updatedAt: string
  expiresAt: string
  meta: Record<string, any>
}

/** What a request carries beside its method and path. */
export interface Call {
  query?: Record<string, string>
  headers?: Record<string, string>
  body?: Record<string, unknown>
  /** Whether it is an outcome, and no failure, that there is no such session or that it has ended. */
  mayBeGone?: boolean
}

/**
 * A life in whole milliseconds, `maxTtl` seconds at most: the service refuses more than its
 * SESSION_MAX_TTL_MS.
 */
export function lifetime(ms: number, maxTtl = 2592000): number {
  return Math.ceil(Math.min(ms, maxTtl * 1000))
}

/** The service routes of session-api, in one namespace. */
export class Client {
  readonly #base: URL
  readonly #token: string
  readonly #namespace: string
  readonly #timeout: number
  readonly #retries: number
  readonly #fetch: typeof globalThis.fetch

  /** The options have been checked; what the process's variables say is checked here. */
  constructor({ url, token, namespace, timeout = 5000, retries = 0, fetch }: ConnectOptions & { namespace: string }) {
    if (url === undefined) {
      url = variable('SESSION_API_URL') ?? 'http://127.0.0.1:8080'
      hold('SESSION_API_URL', address, url)
    }
    if (token === undefined) {
      token = variable('SESSION_API_TOKEN') ?? ''
      hold('SESSION_API_TOKEN', credential, token)
    }
    this.#base = new URL(url)
    if (!this.#base.pathname.endsWith('/')) this.#base.pathname += '/'
    this.#token = token
    this.#namespace = namespace
    this.#timeout = Math.ceil(timeout)
    this.#retries = retries
    // Looked up at each call, so that what instruments the global fetch later counts.
    this.#fetch = fetch ?? ((...request) => globalThis.fetch(...request))
  }

  /**
   * Asks, and again as far as the options say. The outcome is what the answer's body holds, `true` where it
   * has none, and `null` where there is no such session and `mayBeGone` allows that; any other failure is
   * a SessionApiError.
   */
  async ask(method: string, path: string, { query, headers, body, mayBeGone = false }: Call = {}): Promise<any> {
    const url = new URL('api/sessions' + path, this.#base)
    url.search = new URLSearchParams({ namespace: this.#namespace, ...query }).toString()
    const head = new Headers({ Accept: 'application/json', ...headers })
    if (this.#token) head.set('Authorization', 'Bearer ' + this.#token)
    if (body) head.set('Content-Type', method === 'PATCH' ? 'application/merge-patch+json' : 'application/json')
    const init: RequestInit = { method, headers: head, redirect: 'manual', body: body ? encode(body) : null }
    // One for all attempts. What is removed twice is removed.
    if (this.#retries > 0 && (method === 'PUT' || method === 'PATCH')) head.set('Idempotency-Key', `"${crypto.randomUUID()}"`)
    const signal = AbortSignal.timeout(this.#timeout)
    for (let attempt = 0; ; attempt++) {
      const { answer, retryAfter } = await this.#once(url, init, signal)
      if (!(answer instanceof SessionApiError)) return answer
      if (mayBeGone && gone.has(answer.code)) return null
      const again = attempt < this.#retries && (answer.httpStatus === 503 || passing.has(answer.code))
      if (!again || !(await paused(retryAfter + jitter(attempt), signal))) throw answer
    }
  }

  /** One attempt: what understand makes of the answer, and the milliseconds that the service asks to wait for. */
  async #once(url: URL, init: RequestInit, signal: AbortSignal): Promise<{ answer: unknown; retryAfter: number }> {
    try {
      const response = await this.#fetch(url, { ...init, signal })
      const answer = understand(init.method!, response, await response.text())
      return { answer, retryAfter: 1000 * Number(/^\d+$/.exec(response.headers.get('Retry-After') ?? '') ?? 0) }
    } catch (error) {
      return { answer: this.#noAnswer(error, signal), retryAfter: 0 }
    }
  }

  /** All live sessions, newest first. */
  async *list(): AsyncGenerator<Document, void> {
    const query: Record<string, string> = { limit: '200' }
    do {
      const page = await this.ask('GET', '', { query })
      yield* page.sessions
      query.cursor = page.nextCursor
    } while (query.cursor)
  }

  /** Ends every session of the namespace. */
  async clear(): Promise<void> {
    await this.ask('DELETE', '', { query: { all: 'true' } })
  }

  /** Leaves out the error that fetch threw: it may quote headers. */
  #noAnswer(error: any, signal: AbortSignal): SessionApiError {
    if (signal.aborted) {
      return new SessionApiError('timeout', `session-api did not answer within ${this.#timeout} ms`)
    }
    const why: unknown = error?.cause?.code ?? error?.code
    return new SessionApiError('unreachable', 'session-api cannot be reached' + (typeof why === 'string' ? `: ${why}` : ''))
  }
}

/**
 * Lone halves of surrogate pairs are no Unicode, and the service refuses them: they become U+FFFD,
 * as wherever else text is turned into UTF-8.
 */
function encode(body: Record<string, unknown>): string {
  return JSON.stringify(body).replace(/\\(?:u(d[89a-f]..)|.)/g, (escape, lone) => (lone ? '\\ufffd' : escape))
}

/** The codes of failures with which the same request may fare better in a moment. */
const passing = new Set(['unreachable', 'request_in_progress'])

/** Milliseconds, longer for each attempt, so that many who failed together do not come back together. */
const jitter = (attempt: number): number => Math.random() * Math.min(200 * 2 ** attempt, 5000)

/** Waits, and says whether there is time left: false at once where the signal is aborted before. */
function paused(ms: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      resolve(false)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', end)
      resolve(true)
    }, ms)
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
}

/** What the service answers where there is no such session, or no longer. */
const gone = new Set(['session_not_found', 'session_ended'])

/** The answer to HEAD has no body to read a code from. */
const codesOfHead: Record<number, string> = { 401: 'unauthorized', 404: 'session_not_found', 503: 'store_unavailable' }

/** What the body of an answer holds, `true` where it has none, or the failure that it stands for. */
function understand(method: string, response: Response, text: string): unknown {
  let body: any
  try {
    body = text === '' ? true : JSON.parse(text)
  } catch {
    // Then it is not of the service.
  }
  const { status: httpStatus, ok, headers } = response
  if (ok && body !== undefined) return body
  const requestId = headers.get('X-Request-Id') ?? ''
  if (method === 'HEAD' && headers.get('Content-Type')?.startsWith('application/problem+json')) {
    body = { code: codesOfHead[httpStatus], detail: 'an answer without details' }
  }
  if (typeof body?.code !== 'string') {
    const message = `something else than session-api answered ${method} with ${httpStatus}`
    return new SessionApiError('unexpected_answer', message, { httpStatus, requestId })
  }
  const message = `session-api answered ${method} with ${httpStatus} (${body.code}): ${body.detail}`
  return new SessionApiError(body.code, message, { httpStatus, requestId, errors: body.errors })
}

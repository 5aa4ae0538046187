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
  /** Where session-api is; `http://127.0.0.1:8080` by default. It may have a path. */
  url?: string | undefined
  /** A service token. Without one only a service that has none configured answers. */
  token?: string | undefined
  /** The group of sessions that belongs to this app: 1 to 32 of `a-z`, `0-9` and `-`. */
  namespace?: string | undefined
  /** Milliseconds after which a call is given up; 5000 by default. */
  timeout?: number | undefined
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
}

const validId = /^[A-Za-z0-9_-]{16,128}$/

/** Whether the service takes this as the id of a session. */
export function isSessionId(id: string): boolean {
  return validId.test(id)
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
  readonly #fetch: typeof globalThis.fetch

  constructor(options: ConnectOptions & { namespace: string }) {
    const { url = 'http://127.0.0.1:8080', token = '', namespace, timeout = 5000, fetch } = options
    // Messages say nothing of the values: an address or a header may hold a secret.
    if (!URL.canParse(url)) throw new TypeError('session-api: url is not a URL')
    this.#base = new URL(url)
    const { protocol, username, password, search } = this.#base
    if (!/^https?:$/.test(protocol) || username || password || search) {
      throw new TypeError('session-api: url must be http or https, without credentials or a query')
    }
    if (!this.#base.pathname.endsWith('/')) this.#base.pathname += '/'
    if (!/^[\x21-\x7e]*$/.test(token)) {
      throw new TypeError('session-api: token must be visible ASCII characters; is there a line break at its end?')
    }
    if (!/^[a-z0-9-]{1,32}$/.test(namespace)) {
      throw new TypeError('session-api: namespace must be 1 to 32 of a-z, 0-9 and -')
    }
    this.#token = token
    this.#namespace = namespace
    this.#timeout = timeout
    // Looked up at each call, so that what instruments the global fetch later counts.
    this.#fetch = fetch ?? ((...request) => globalThis.fetch(...request))
  }

  /**
   * Asks once, and never again by itself. The outcome is what the answer's body holds, `true` where it
   * has none, and `null` where there is no such session; any other failure is a SessionApiError.
   */
  async ask(method: string, path: string, { query, headers, body }: Call = {}): Promise<any> {
    const url = new URL('api/sessions' + path, this.#base)
    url.search = new URLSearchParams({ namespace: this.#namespace, ...query }).toString()
    const head = new Headers({ Accept: 'application/json', ...headers })
    if (this.#token) head.set('Authorization', 'Bearer ' + this.#token)
    if (body) head.set('Content-Type', method === 'PATCH' ? 'application/merge-patch+json' : 'application/json')
    const init: RequestInit = { method, headers: head, redirect: 'manual', body: body ? encode(body) : null }
    const signal = AbortSignal.timeout(this.#timeout)
    let response: Response, text: string
    try {
      response = await this.#fetch(url, { ...init, signal })
      text = await response.text()
    } catch (error) {
      throw this.#noAnswer(error, signal)
    }
    return understand(method, response, text)
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

function understand(method: string, response: Response, text: string): unknown {
  let body: any
  try {
    body = text === '' ? true : JSON.parse(text)
  } catch {
    // Then it is not of the service.
  }
  const { status: httpStatus, ok } = response
  if (ok && body !== undefined) return body
  if (httpStatus === 404 && (method === 'HEAD' || body?.code === 'session_not_found')) return null
  const requestId = response.headers.get('X-Request-Id') ?? ''
  if (typeof body?.code !== 'string') {
    const message = `something else than session-api answered ${method} with ${httpStatus}`
    throw new SessionApiError('unexpected_answer', message, { httpStatus, requestId })
  }
  const message = `session-api answered ${method} with ${httpStatus} (${body.code}): ${body.detail}`
  throw new SessionApiError(body.code, message, { httpStatus, requestId, errors: body.errors })
}

import { address, bool, check, func, hold, milliseconds, variable, type Rule } from './options.js'

/** What a request's session has to be like. Without any of these, a live session is enough. */
export interface SessionRule {
  /** The user has one of these roles. */
  roles?: string | readonly string[] | undefined
  /** Whole seconds that have passed at most since the user signed in. */
  maxAuthAge?: number | undefined
  /** The user's sign-in reached one of these levels; `aal2` and `aal3` include the lower ones. */
  level?: string | readonly string[] | undefined
  /** The user's sign-in used one of these methods, by the names of RFC 8176. */
  method?: string | readonly string[] | undefined
}

export interface VerifyOptions extends SessionRule {
  /**
   * Where session-api is; the variable SESSION_API_URL or else `http://127.0.0.1:8080` by default. It may
   * have a path.
   */
  url?: string | undefined
  /** Whether requests without a live session pass as well, without an identity; false by default. */
  optional?: boolean | undefined
  /** Milliseconds after which the service is given up; 5000 by default. */
  timeout?: number | undefined
  /** Another fetch than the global one. */
  fetch?: typeof globalThis.fetch | undefined
}

/** Who a request is from. */
export interface Identity {
  sessionId: string
  /** Null where the session has none. */
  user: {
    id: string
    email: string
    roles: string[]
    /** How and when the user signed in, where that is known. `time` is an ISO 8601 date. */
    auth?: { time: string; level: string; methods: string[] }
  } | null
  /**
   * Whether the user has more roles than the service tells a gateway, and `roles` therefore none of them.
   * The rule was held against all.
   */
  rolesIncomplete: boolean
}

/** Why a request does not pass, and what it is to be answered. */
export interface Refusal {
  /** 401, 403 or 503: never that of an answer that is none of the service's own. */
  status: 401 | 403 | 503
  /** The `code` of the service's problem document, or `timeout`, `unreachable` or `unexpected_answer`. */
  code: string
  /** Of the answer, by lower-case names: among them the challenge of a 401 (RFC 9470). */
  headers: Record<string, string>
  /** The answer's body, a problem document. */
  body: string
}

/** What is to become of a request. */
export type Verdict = {
  /** Values of Set-Cookie, which belong to the answer whatever it is: the browser's cookie lives as the session does. */
  setCookie: string[]
} & ({ passes: true; identity: Identity | null; refusal: null } | { passes: false; identity: null; refusal: Refusal })

/** The headers of a request that say who it is from, and with what. */
export interface Credentials {
  cookie?: string | null | undefined
  authorization?: string | null | undefined
  /** Of the visitor, so that the service does not take this app for their device. */
  userAgent?: string | null | undefined
}

const list: Rule = {
  is: 'a text that is not empty, or some of them in an array',
  // An empty array asks for nothing: where it comes of a mistake, everybody would pass.
  holds(value) {
    const texts = Array.isArray(value) ? value : [value]
    return texts.length > 0 && texts.every((text) => typeof text === 'string' && text !== '' && text.isWellFormed())
  },
}
const age: Rule = {
  is: 'a whole number of seconds, 1 or more',
  holds: (value) => Number.isInteger(value) && value >= 1 && value <= 3_153_600_000,
}

export const verifyRules = {
  url: address,
  roles: list,
  maxAuthAge: age,
  level: list,
  method: list,
  optional: bool,
  timeout: milliseconds,
  fetch: func,
}

/** What is called differently elsewhere, or does not belong here. */
const foreign = {
  role: 'it is called roles',
  token: 'the credentials are those of each request',
  namespace: 'sessions that a visitor has a cookie or token of have none',
}

/** Makes a function that asks the service about the credentials of a request, once for each. It never throws. */
export function createVerifier(options: VerifyOptions = {}, rules: Record<string, Rule> = verifyRules) {
  check(options, rules, foreign)
  const { optional = false, timeout = 5000 } = options
  const url = target(options)
  const fetch = options.fetch ?? ((...request: Parameters<typeof globalThis.fetch>) => globalThis.fetch(...request))

  return async function verify({ cookie, authorization, userAgent }: Credentials): Promise<Verdict> {
    const signal = AbortSignal.timeout(Math.ceil(timeout))
    try {
      const headers = new Headers({ Accept: 'application/problem+json' })
      if (cookie) headers.set('Cookie', cookie)
      if (authorization) headers.set('Authorization', authorization)
      if (userAgent) headers.set('User-Agent', userAgent)
      const response = await fetch(url, { headers, redirect: 'manual', credentials: 'omit', signal })
      return judge(response, await response.text(), optional)
    } catch {
      return signal.aborted ? unknown('timeout', 'The session service does not answer.') : unknown('unreachable', 'The session service cannot be reached.')
    }
  }
}

/** The address of verify, with the rule as its query. */
function target({ url, roles, maxAuthAge, level, method }: VerifyOptions): URL {
  if (url === undefined) {
    url = variable('SESSION_API_URL') ?? 'http://127.0.0.1:8080'
    hold('SESSION_API_URL', address, url)
  }
  const base = new URL(url)
  if (!base.pathname.endsWith('/')) base.pathname += '/'
  const verify = new URL('api/session/verify', base)
  for (const [name, values] of [['role', roles], ['level', level], ['method', method]] as const) {
    for (const value of values === undefined ? [] : [values].flat()) verify.searchParams.append(name, value)
  }
  if (maxAuthAge !== undefined) verify.searchParams.set('maxAuthAge', String(maxAuthAge))
  return verify
}

/** What an answer of verify means. Nothing but the service's own 200 lets a request pass. */
function judge(response: Response, text: string, optional: boolean): Verdict {
  const { status, headers } = response
  const setCookie = headers.getSetCookie()
  if (status === 200) {
    const identity = identityOf(headers)
    return identity ? { passes: true, identity, refusal: null, setCookie } : unexpected(status)
  }
  const code = codeOf(text)
  if (code === null || (status !== 401 && status !== 403 && status !== 503)) return unexpected(status)
  if (optional && status === 401 && (code === 'no_credential' || code === 'unauthorized')) {
    return { passes: true, identity: null, refusal: null, setCookie }
  }
  const answer: Record<string, string> = { 'content-type': 'application/problem+json', 'cache-control': 'no-store' }
  for (const name of ['www-authenticate', 'retry-after']) {
    const value = headers.get(name)
    if (value !== null) answer[name] = value
  }
  return { passes: false, identity: null, refusal: { status, code, headers: answer, body: text }, setCookie }
}

const unexpected = (status: number) => unknown('unexpected_answer', `Something else than the session service answered, with ${status}.`)

/** Not to know must not look like being signed out. */
function unknown(code: string, detail: string): Verdict {
  const status = 503
  const headers = { 'content-type': 'application/problem+json', 'cache-control': 'no-store', 'retry-after': '1' }
  const body = JSON.stringify({ type: 'about:blank', title: 'Service Unavailable', status, detail, code })
  return { passes: false, identity: null, refusal: { status, code, headers, body }, setCookie: [] }
}

/** The code of a problem document; null where a text is none. */
function codeOf(text: string): string | null {
  try {
    const { code } = JSON.parse(text)
    return typeof code === 'string' ? code : null
  } catch {
    return null
  }
}

/** Who the headers of a 200 say that it is; null where they are not the service's. */
function identityOf(headers: Headers): Identity | null {
  const sessionId = headers.get('X-Session-Id')
  if (!sessionId) return null
  try {
    const text = (name: string) => decodeURIComponent(headers.get(name) ?? '')
    const texts = (name: string) => (headers.get(name) || null)?.split(',').map(decodeURIComponent) ?? []
    const rolesIncomplete = headers.get('X-User-Incomplete') === 'roles'
    const id = text('X-User-Id')
    if (id === '') return { sessionId, user: null, rolesIncomplete }
    const user = { id, email: text('X-User-Email'), roles: texts('X-User-Roles') }
    const time = text('X-Auth-Time')
    if (time === '') return { sessionId, user, rolesIncomplete }
    if (Number.isNaN(Date.parse(time))) return null
    return { sessionId, user: { ...user, auth: { time, level: text('X-Auth-Level'), methods: texts('X-Auth-Methods') } }, rolesIncomplete }
  } catch {
    return null // a broken escape
  }
}

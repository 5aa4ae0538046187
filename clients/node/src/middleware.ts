import type { IncomingMessage, ServerResponse } from 'node:http'
import { func } from './options.js'
import { createVerifier, verifyRules, type Identity, type Refusal, type Verdict, type VerifyOptions } from './verify.js'

export { type Identity, type Refusal, type SessionRule, type Verdict, type VerifyOptions } from './verify.js'

declare module 'http' {
  interface IncomingMessage {
    /**
     * Who the request is from, behind `requireSession`; null where an optional one let it pass without a
     * live session.
     */
    sessionApi?: Identity | null
  }
}

type Next = (error?: any) => void

export interface RequireSessionOptions extends VerifyOptions {
  /** Answers a request that does not pass. By default, that is what the service said: 401, 403 or 503. */
  onRefused?: ((refusal: Refusal, req: any, res: any, next: Next) => unknown) | undefined
}

const rules = { ...verifyRules, onRefused: func }

/**
 * A middleware for Express, Connect and their like that lets only requests with a session pass that
 * satisfies the rule. It asks the service once for each request, by its cookies and Authorization header, puts
 * who it is from into `req.sessionApi`, and hands cookies of the answer on.
 */
export function requireSession(options: RequireSessionOptions = {}) {
  const verify = createVerifier(options, rules)
  const { onRefused } = options

  return function sessionRequired(req: IncomingMessage, res: ServerResponse, next: Next): void {
    // What somebody left there, or a broader middleware found, says nothing about this rule.
    delete req.sessionApi
    const { cookie, authorization, 'user-agent': userAgent } = req.headers
    verify({ cookie, authorization, userAgent })
      .then(({ passes, identity, refusal, setCookie }) => {
        if (!res.headersSent && setCookie.length > 0) res.appendHeader('Set-Cookie', setCookie)
        if (passes) {
          req.sessionApi = identity
          return true
        }
        if (onRefused) return Promise.resolve(onRefused(refusal, req, res, next)).then(() => false)
        res.writeHead(refusal.status, refusal.headers).end(refusal.body)
        return false
      })
      // Outside of the promise: what next throws is the app's own.
      .then((passes) => passes && process.nextTick(next), (error) => process.nextTick(next, error))
  }
}

/** Makes a function that holds a fetch-style Request, or its headers, against the rule. It never throws. */
export function sessionVerifier(options: VerifyOptions = {}): (request: { headers: Headers } | Headers) => Promise<Verdict> {
  const verify = createVerifier(options)
  return (request) => {
    const headers = 'headers' in request ? request.headers : request
    return verify({ cookie: headers.get('Cookie'), authorization: headers.get('Authorization'), userAgent: headers.get('User-Agent') })
  }
}

export interface WithSessionOptions extends VerifyOptions {
  /** Answers a request that does not pass. By default, that is what the service said: 401, 403 or 503. */
  onRefused?: ((refusal: Refusal, request: any) => Response | Promise<Response>) | undefined
}

/** A handler of a fetch-style server, such as those of Hono, Bun, Deno or H3, behind the rule. */
export function withSession<R extends { headers: Headers }, More extends unknown[]>(
  options: WithSessionOptions,
  handler: (request: R, identity: Identity | null, ...more: More) => Response | Promise<Response>,
): (request: R, ...more: More) => Promise<Response> {
  const verify = createVerifier(options, rules)
  const { onRefused } = options

  return async (request, ...more) => {
    const headers = request.headers
    const { passes, identity, refusal, setCookie } = await verify({
      cookie: headers.get('Cookie'),
      authorization: headers.get('Authorization'),
      userAgent: headers.get('User-Agent'),
    })
    const response = passes
      ? await handler(request, identity, ...more)
      : onRefused
        ? await onRefused(refusal, request)
        : new Response(refusal.body, { status: refusal.status, headers: refusal.headers })
    if (setCookie.length === 0) return response
    // Those of a response that was fetched cannot be changed.
    const answer = new Response(response.body, response)
    for (const cookie of setCookie) answer.headers.append('Set-Cookie', cookie)
    return answer
  }
}

import assert from 'node:assert/strict'
import type { Problem, ProblemCode } from 'session-api-client'

// These tests speak with a running service. In the repository,
// `go test ./clients` starts one.
function setting(name: string): string {
  const value = process.env[name]
  assert.ok(value, 'set SESSION_API_URL and SERVICE_TOKEN to those of a running service')
  return value
}

export const baseUrl = setting('SESSION_API_URL')
export const serviceToken = setting('SERVICE_TOKEN')

/** A fetch that keeps cookies, as that of a browser does. */
export function cookieFetch(): { fetch: (request: Request) => Promise<Response>; cookies: Map<string, string> } {
  const cookies = new Map<string, string>()
  return {
    cookies,
    async fetch(request) {
      if (cookies.size > 0) {
        request.headers.set('Cookie', [...cookies].map(([name, value]) => `${name}=${value}`).join('; '))
      }
      const response = await fetch(request)
      for (const line of response.headers.getSetCookie()) {
        const [, name, value] = /^([^=]+)=([^;]*)/.exec(line) ?? assert.fail(line)
        if (/; Max-Age=0(;|$)/.test(line)) cookies.delete(name!)
        else cookies.set(name!, value!)
      }
      return response
    },
  }
}

/** Checks that an answer is the problem of a code. */
export function assertProblem(
  answer: { error?: Problem | undefined; response: Response },
  code: ProblemCode,
): asserts answer is { error: Problem; response: Response } {
  assert.equal(answer.error?.code, code)
  assert.equal(answer.error.status, answer.response.status)
}

/** Checks that an answer is that of a request without a live session. */
export function assertSignedOut(answer: { error?: Problem | undefined; response: Response }): void {
  assert.equal(answer.response.status, 401)
  // With no_credential nothing came that could have opened a session.
  assert.match(answer.error?.code ?? '', /^(unauthorized|no_credential)$/)
}

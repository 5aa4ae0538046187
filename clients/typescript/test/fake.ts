// A service that answers what a test tells it to.
import assert from 'node:assert/strict'
import type { SessionOptions } from 'session-api-client'

export type Answer = Response | Error | ((init: RequestInit) => Promise<Response>)

/** A fetch that gives these answers, one after the other, and keeps what it was asked. */
export function recorder(answers: Answer[]) {
  const requests: { method: string; url: string; headers: Headers; body: string | undefined }[] = []
  const fetch: SessionOptions['fetch'] = async (url, init) => {
    requests.push({ method: init.method!, url, headers: new Headers(init.headers), body: init.body?.toString() })
    const answer = answers[requests.length - 1] ?? assert.fail(`one request too many: ${init.method} ${url}`)
    if (answer instanceof Error) throw answer
    return typeof answer === 'function' ? answer(init) : answer
  }
  return { requests, fetch }
}

/** An answer with a session's document. */
export function document(more: object = {}, revision = 1): Response {
  const at = '2026-01-31T23:59:59.000Z'
  const sections = { user: null, inputs: {}, apiConfig: {}, results: {}, meta: {} }
  const session = { id: 'a'.repeat(64), createdAt: at, updatedAt: at, expiresAt: at, version: 1, revision, ...sections, ...more }
  return Response.json(session, { headers: { ETag: `"${revision}"` } })
}

/** An answer with a problem document. */
export function problem(status: number, code: string, headers: Record<string, string> = {}): Response {
  return Response.json(
    { type: 'about:blank', title: 'T', status, detail: 'D', code, requestId: 'r-1' },
    { status, headers: { 'Content-Type': 'application/problem+json', ...headers } },
  )
}

/** Never answers, until it is aborted. */
export const silence = (init: RequestInit) =>
  new Promise<Response>((_, reject) => init.signal!.addEventListener('abort', () => reject(init.signal!.reason)))

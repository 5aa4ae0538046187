import createFetchClient from 'openapi-fetch'
import { randomKey, repeating } from './request.js'

export {
  errorOf,
  isSessionApiError,
  PreconditionFailedError,
  SessionApiError,
  SignedOutError,
  UnavailableError,
  ValidationError,
} from './problem.js'
export { createSession } from './session.js'

/** Makes a client of the service. The types are in index.d.ts. */
export function createSessionClient({ token, headers, retries = 0, idempotencyKey = randomKey, ...options } = {}) {
  if (retries > 0) {
    // Looked up at each call, so that what replaces the global fetch later counts.
    options.fetch = repeating(options.fetch ?? ((request) => globalThis.fetch(request)), { retries, idempotencyKey })
  }
  const client = createFetchClient({
    // A browser sends and keeps the cookie, on another origin too.
    credentials: 'include',
    ...options,
    // openapi-fetch reads plain objects and the global Headers: pairs, and Headers of another kind
    // (of a test environment or a polyfill), would be lost.
    headers: typeof headers?.[Symbol.iterator] === 'function' ? new Headers([...headers]) : headers,
  })
  if (token !== undefined) {
    client.use({
      /** Asks for the token before each request: regenerate changes it. */
      async onRequest({ request }) {
        const now = typeof token === 'function' ? await token() : token
        if (now && !request.headers.has('Authorization')) request.headers.set('Authorization', `Bearer ${now}`)
      },
    })
  }
  return client
}

/** The ETag of an answer, for If-Match. */
export function etag(response) {
  const tag = response.headers.get('ETag')
  if (!tag) throw new Error(`the answer has no ETag: it has the status ${response.status}`)
  return tag
}

import { isSessionApiError, problemError, retryAfter, UnavailableError } from './problem.js'

/** A timer takes no more: what is longer would end at once. */
const maxTimer = 2_147_483_647

/** What does the same however often it is sent (RFC 9110, 9.2.2), as far as the service has such methods. */
const idempotent = new Set(['GET', 'HEAD', 'DELETE'])

/** Milliseconds: the bound of the first pause, of any, and of what Retry-After may ask for. */
const pauses = { first: 200, longest: 5_000, asked: 30_000 }

/** Whether a request may be sent again when nobody knows what became of it. */
export const isRepeatable = (method, headers) => idempotent.has(method) || headers.has('Idempotency-Key')

/** A random UUID (RFC 9562, 5.4) as Idempotency-Key has it, in quotes. Pages without https have no crypto.randomUUID. */
export function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  bytes[6] = (bytes[6] & 0x0f) | 0x40
  bytes[8] = (bytes[8] & 0x3f) | 0x80
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return `"${hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')}"`
}

/**
 * Sends a request, reads the answer, and returns it with the JSON of its body. What may be sent again
 * is, where the service cannot be reached, answers 503, or is still at it. Throws a SessionApiError, or
 * what the signal was aborted with.
 */
export async function request(url, init, { fetch, timeout, retries, signal }) {
  for (let attempt = 0; ; attempt++) {
    try {
      return await once(url, init, { fetch, timeout, signal })
    } catch (error) {
      const again = isRepeatable(init.method, init.headers) && attempt < retries && isSessionApiError(error) && isPassing(error)
      const asked = error?.retryAfterMs ?? 0
      if (!again || asked > pauses.asked) throw error
      await pause(asked + jitter(pauses.first * 2 ** attempt), signal)
    }
  }
}

/** Whether the same request may fare better in a moment. */
const isPassing = ({ code, status }) => status === 503 || passing.has(code)
const passing = new Set(['unreachable', 'timeout', 'request_in_progress'])

/** Somewhere below a bound, so that many who failed together do not come back together. */
export const jitter = (bound) => Math.random() * Math.min(bound, pauses.longest)

/** Waits so many milliseconds, or throws what the signal is aborted with. */
export function pause(ms, signal) {
  return abortable(new Promise((resolve) => setTimeout(resolve, ms)), signal)
}

/** Waits for a promise, but no longer than until the signal is aborted. */
export function abortable(promise, signal) {
  if (!signal) return promise
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
    if (signal.aborted) abort()
  })
}

/** The paths of the operations that take an Idempotency-Key. The service may have a path before them. */
const keyed = {
  POST: /\/api\/(session|session\/(operations|touch|regenerate)|sessions|sessions\/end|sessions\/[^/]+\/(touch|regenerate)|import)$/,
  PUT: /\/api\/(session|sessions\/[^/]+)$/,
  PATCH: /\/api\/(session|sessions\/[^/]+)$/,
}

/** A fetch of Requests that repeats them as `request` does. An answer to what has a key is read before it is returned. */
export function repeating(send, { retries, idempotencyKey }) {
  return async (request) => {
    const takesKey = keyed[request.method]?.test(new URL(request.url).pathname) ?? false
    if (takesKey && idempotencyKey && !request.headers.has('Idempotency-Key')) request.headers.set('Idempotency-Key', idempotencyKey())
    if (!isRepeatable(request.method, request.headers)) return send(request)
    for (let attempt = 0; ; attempt++) {
      const last = attempt === retries
      let asked = 0
      try {
        const response = await send(last ? request : request.clone())
        asked = last ? undefined : askedToWait(response)
        if (asked === undefined || asked > pauses.asked) return takesKey ? await whole(response) : response
        await response.body?.cancel()
      } catch (error) {
        if (last || request.signal.aborted) throw error
      }
      await pause(asked + jitter(pauses.first * 2 ** attempt), request.signal)
    }
  }
}

/** Milliseconds after which a request with this answer may fare better; undefined where it would not. */
function askedToWait({ status, headers }) {
  const inProgress = status === 409 && headers.has('Retry-After') // of all that are 409, only this says when
  return status === 503 || inProgress ? (retryAfter(headers) ?? 0) : undefined
}

/** An answer whose body has arrived. */
async function whole(response) {
  const { status, statusText, headers } = response
  const body = await response.arrayBuffer()
  return new Response(body.byteLength > 0 ? body : null, { status, statusText, headers })
}

async function once(url, init, { fetch, timeout, signal }) {
  signal?.throwIfAborted()
  const controller = new AbortController()
  const abort = () => controller.abort(signal.reason)
  signal?.addEventListener('abort', abort, { once: true })
  let late = false
  const timer = setTimeout(() => {
    late = true
    controller.abort()
  }, Math.min(timeout, maxTimer))
  try {
    // A redirect leads to somebody else: following it could hand the token over.
    const response = await fetch(url, { ...init, redirect: 'manual', signal: controller.signal })
    const text = await response.text()
    return understand(response, text)
  } catch (error) {
    if (isSessionApiError(error)) throw error
    signal?.throwIfAborted()
    if (late) throw new UnavailableError({ code: 'timeout', detail: `no answer within ${timeout} ms` })
    throw new UnavailableError({ code: 'unreachable', detail: 'the service cannot be reached' }, { cause: error })
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}

function understand(response, text) {
  if (response.status === 304 || response.status === 204) return { response, body: undefined }
  let body
  try {
    body = JSON.parse(text)
  } catch {
    // Then it is none of the service.
  }
  if (response.ok && typeof body === 'object' && body !== null) return { response, body }
  throw problemError(response.ok ? undefined : body, response)
}

import { isSessionApiError, problemError, UnavailableError } from './problem.js'

/** A timer takes no more: what is longer would end at once. */
const maxTimer = 2_147_483_647

/** What asks nothing of the service but to read may be asked again (RFC 9110, 9.2.1). */
const safe = new Set(['GET', 'HEAD'])

/** Milliseconds: the bound of the first pause, of any, and of what Retry-After may ask for. */
const pauses = { first: 200, longest: 5_000, asked: 30_000 }

/**
 * Sends a request, reads the answer, and returns it with the JSON of its body. What is safe is sent
 * again where the service cannot be reached or answers 503. Throws a SessionApiError, or what the
 * signal was aborted with.
 */
export async function request(url, init, { fetch, timeout, retries, signal }) {
  for (let attempt = 0; ; attempt++) {
    try {
      return await once(url, init, { fetch, timeout, signal })
    } catch (error) {
      const again = safe.has(init.method) && attempt < retries && isSessionApiError(error) && isPassing(error)
      const asked = error?.retryAfterMs ?? 0
      if (!again || asked > pauses.asked) throw error
      await pause(asked + jitter(pauses.first * 2 ** attempt), signal)
    }
  }
}

/** Whether the same request may fare better in a moment. */
const isPassing = ({ code, status }) => status === 503 || code === 'unreachable' || code === 'timeout'

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

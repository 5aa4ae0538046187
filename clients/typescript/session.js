import { diff, same } from './patch.js'
import { PreconditionFailedError, SignedOutError } from './problem.js'
import { abortable, jitter, pause, randomKey, request } from './request.js'

const sections = ['user', 'inputs', 'apiConfig', 'results', 'meta']

/** How often update tries where others change the session meanwhile. */
const updateAttempts = 8

/** The service takes no longer list. */
const maxOperations = 1000

/** Makes a handle of the caller's session. The types are in session.d.ts. */
export function createSession(options = {}) {
  const { baseUrl = '', transport = 'cookie', credentials = 'include', headers, onToken } = options
  const { timeout = 10_000, retries = 2, idempotencyKey = randomKey } = options
  if (!(timeout > 0 && timeout < Infinity)) throw new TypeError('session-api: timeout must be a positive number of milliseconds')
  if (!(Number.isInteger(retries) && retries >= 0)) throw new TypeError('session-api: retries must be a whole number, 0 or more')
  if (idempotencyKey !== false && typeof idempotencyKey !== 'function') throw new TypeError('session-api: idempotencyKey must be a function, or false')
  // Looked up at each call, so that what replaces the global fetch later counts.
  const fetch = options.fetch ?? ((...args) => globalThis.fetch(...args))
  const base = String(baseUrl).replace(/\/+$/, '') + '/api/session'

  let token = options.token
  let current // what is known of the session, frozen
  let tag // its ETag
  let loading
  let last = Promise.resolve()
  const listeners = new Set()

  /** One request after the other, so that what is known is what the last answer said. */
  function inTurn(work, signal) {
    const turn = last.then(() => {
      signal?.throwIfAborted()
      return work()
    })
    last = turn.catch(() => {})
    return abortable(turn, signal)
  }

  async function ask(method, path, { signal, body, type = 'application/json', ...more } = {}) {
    const head = new Headers(headers && typeof headers[Symbol.iterator] === 'function' ? [...headers] : headers)
    head.set('Accept', 'application/json')
    const bearer = typeof token === 'function' ? await token() : token
    if (bearer && !head.has('Authorization')) head.set('Authorization', `Bearer ${bearer}`)
    if (body !== undefined) head.set('Content-Type', type)
    // One for all attempts: the service does once what comes with the same.
    if (method === 'POST' && idempotencyKey) head.set('Idempotency-Key', idempotencyKey())
    for (const [name, value] of Object.entries(more)) if (value !== undefined) head.set(name, value)
    const init = { method, headers: head, credentials, body: body === undefined ? null : JSON.stringify(body) }
    try {
      const answer = await request(base + path, init, { fetch, timeout, retries, signal })
      keepToken(answer.body?.token ?? answer.response.headers.get('X-Session-Token'))
      return answer
    } catch (error) {
      if (error instanceof SignedOutError) forget()
      throw error
    }
  }

  function keepToken(issued) {
    if (!issued) return
    if (typeof token !== 'function') token = issued
    onToken?.(issued)
  }

  /** Takes over what an answer says, and keeps each part that is as it was: who compares by === sees what changed. */
  function take({ response, body }) {
    const { token: _, ...document } = body
    const now = share(current, document)
    tag = response.headers.get('ETag') ?? undefined
    if (now !== current) show(now)
    return current
  }

  function forget() {
    tag = undefined
    if (current !== undefined) show(undefined)
  }

  function show(now) {
    current = now
    for (const listener of [...listeners]) {
      try {
        listener()
      } catch (error) {
        // It is not the failure of the request that was made.
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }

  async function read(signal) {
    const answer = await ask('GET', '', { signal, 'If-None-Match': current && tag })
    return answer.response.status === 304 ? current : take(answer)
  }

  async function tryUpdate(change, signal) {
    const was = current ?? (await read(signal))
    const operations = changes(was, change)
    if (operations.length === 0) return current
    // Without its ETag a session cannot be changed as it was read: a gateway may have taken it off.
    if (!tag) throw new TypeError('session-api: the answer has no ETag, which update needs')
    const type = 'application/json-patch+json'
    return take(await ask('POST', '/operations', { signal, body: operations, type, 'If-Match': tag }))
  }

  async function load(init) {
    const query = transport === 'bearer' ? '?transport=bearer' : ''
    return take(await ask('POST', query, { body: init, 'If-None-Match': '*' }))
  }

  return {
    get current() {
      return current
    },

    load(init, { signal } = {}) {
      if (current) return abortable(Promise.resolve(current), signal)
      // Asked for once, however many want it: who gives up does not end it for the others.
      loading ??= inTurn(() => inOneTab(base, () => load(init))).finally(() => {
        loading = undefined
      })
      return abortable(loading, signal)
    },

    reload({ signal } = {}) {
      return inTurn(() => read(signal), signal)
    },

    update(change, { signal } = {}) {
      return inTurn(async () => {
        for (let attempt = 1; ; attempt++) {
          try {
            return await tryUpdate(change, signal)
          } catch (error) {
            if (!(error instanceof PreconditionFailedError) || attempt === updateAttempts) throw error
          }
          await pause(jitter(20 * attempt), signal)
          await read(signal)
        }
      }, signal)
    },

    regenerate({ graceMs, remember, signal } = {}) {
      const body = graceMs === undefined && remember === undefined ? undefined : { graceMs, remember }
      return inTurn(async () => take(await ask('POST', '/regenerate', { signal, body })), signal)
    },

    end({ signal } = {}) {
      return inTurn(async () => {
        try {
          await ask('DELETE', '', { signal })
        } catch (error) {
          if (!(error instanceof SignedOutError)) throw error // it has ended already
        }
        if (typeof token !== 'function') token = undefined
        forget()
      }, signal)
    },

    subscribe(listener) {
      const one = () => listener()
      listeners.add(one)
      return () => listeners.delete(one)
    },
  }
}

/** The operations that make of a session what a function makes of a copy of its sections. */
function changes(session, change) {
  const before = plain(Object.fromEntries(sections.map((name) => [name, session[name] ?? null])))
  const draft = plain(before)
  if (typeof change(draft)?.then === 'function') {
    throw new TypeError('session-api: update takes a function that is not async: it may be called several times')
  }
  const unknown = Object.keys(draft).find((name) => !sections.includes(name))
  if (unknown !== undefined) throw new TypeError(`session-api: a session has no section ${unknown}`)
  const after = plain({ ...Object.fromEntries(sections.map((name) => [name, name === 'user' ? null : {}])), ...present(draft) })
  const operations = sections.flatMap((name) => diff(before[name], after[name], `/${name}`))
  if (operations.length <= maxOperations) return operations
  const differing = sections.filter((name) => !same(before[name], after[name]))
  return differing.map((name) => ({ op: 'replace', path: `/${name}`, value: after[name] }))
}

/** The members of an object that have a value. */
const present = (object) => Object.fromEntries(Object.entries(object).filter(([, value]) => value != null))

/** A copy of what JSON says of a value: dates are texts, and what has no value is left out. */
const plain = (value) => JSON.parse(JSON.stringify(value))

/** What is now, frozen, made of the parts of what was that are still the same. */
function share(was, now) {
  if (same(was, now)) return was
  if (typeof now !== 'object' || now === null) return now
  const known = typeof was === 'object' && was !== null ? was : {}
  for (const name of Object.keys(now)) now[name] = share(Object.hasOwn(known, name) ? known[name] : undefined, now[name])
  return Object.freeze(now)
}

/** The tabs of a browser wait for each other, so that the first makes the session of them all. */
function inOneTab(name, work) {
  const locks = typeof document === 'undefined' ? undefined : globalThis.navigator?.locks
  return locks ? locks.request(`session-api ${name}`, work) : work()
}

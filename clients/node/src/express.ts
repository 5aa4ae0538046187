import session = require('express-session')
import type { SessionData } from 'express-session'
import { Client, SessionApiError, lifetime, type ConnectOptions, type Document } from './client.js'
import { idOf, isId, noId } from './ids.js'
import { bool, check, connectRules, func, hold, seconds } from './options.js'

export { SessionApiError }

/**
 * What the service may know of a visitor. Sessions can then be found, counted and ended by user.
 */
export interface User {
  id: string
  email?: string
  roles?: string[]
}

export interface SessionApiStoreOptions extends ConnectOptions {
  /**
   * Seconds that a session whose cookie has no age lives unused; 86400 by default. A function says it
   * of each session, and comes before the cookie's age; a session that it gives 0 or less is ended.
   */
  ttl?: number | ((session: SessionData) => number) | undefined
  /**
   * Seconds that any session lives unused at most; 2592000 (30 days) by default. It goes with
   * SESSION_MAX_TTL_MS of the service, which refuses more.
   */
  maxTtl?: number | undefined
  /** Whether only saving a session prolongs its life, and using it does not; false by default. */
  disableTouch?: boolean | undefined
  /** Says whose session it is, each time that it is saved. */
  user?: ((session: SessionData) => User | null | undefined) | undefined
}

const ttlOption = {
  is: `${seconds.is}, or a function that answers one`,
  holds: (value: unknown) => typeof value === 'function' || seconds.holds(value),
}
const rules = { ...connectRules, ttl: ttlOption, maxTtl: seconds, disableTouch: bool, user: func }
const ttlAnswer = { is: 'a function that answers a number of seconds', holds: Number.isFinite }

/** What connect-redis and its like have. */
const foreign = {
  client: 'set url and token',
  prefix: 'give each app a namespace of its own',
  disableTTL: 'nothing lives for ever; set ttl and maxTtl',
  serializer: 'session-api keeps sessions as JSON, so that other services read them',
  scanCount: 'lists come in pages by themselves',
}

type Callback<T> = (err: any, value?: T) => void

/**
 * Keeps the sessions of express-session in session-api. Called without a callback, a method returns a
 * promise, as Koa's session middlewares want it.
 */
export class SessionApiStore extends session.Store {
  readonly #client: Client
  readonly #ttl: number | ((session: SessionData) => number)
  readonly #maxTtl: number | undefined
  readonly #disableTouch: boolean
  readonly #user: SessionApiStoreOptions['user']
  /**
   * Session objects of which the service has had a session. When one of them is saved and its session
   * is gone, it has ended meanwhile, and the save must not bring it back.
   */
  readonly #stored = new WeakSet<object>()
  /**
   * The same by id, for frameworks that make an object of their own from what get answered: ids that
   * were read and not saved since, the latest of them.
   */
  readonly #read = new Set<string>()

  constructor(options: SessionApiStoreOptions = {}) {
    check(options, rules, foreign)
    super()
    const { ttl = 86400, maxTtl, disableTouch = false, user, namespace = 'express', ...connection } = options
    this.#client = new Client({ ...connection, namespace })
    this.#ttl = ttl
    this.#maxTtl = maxTtl
    this.#disableTouch = disableTouch
    this.#user = user
  }

  override get(sid: string, callback: Callback<SessionData | null>): void
  override get(sid: string, ...more: unknown[]): Promise<any>
  override get(sid: string, callback?: unknown): unknown {
    return reply(this.#get(sid), callback)
  }

  /** In place of a callback there may be the milliseconds that a session lives whose cookie has no age. */
  override set(sid: string, session: SessionData, callback?: Callback<never>): void
  override set(sid: string, session: object, ...more: unknown[]): Promise<void>
  override set(sid: string, session: object, third?: unknown): unknown {
    return reply(this.#set(sid, session as SessionData, typeof third === 'number' ? third : NaN), third)
  }

  override touch(sid: string, session: SessionData, callback?: Callback<never>): void
  override touch(sid: string, session: SessionData): Promise<void>
  override touch(sid: string, session: SessionData, callback?: unknown): unknown {
    return reply(this.#touch(sid, session), callback)
  }

  override destroy(sid: string, callback?: Callback<never>): void
  override destroy(sid: string, ...more: unknown[]): Promise<void>
  override destroy(sid: string, callback?: unknown): unknown {
    return reply(this.#destroy(sid), callback)
  }

  /** Each session comes with its `id`. */
  override all(callback: Callback<(SessionData & { id: string })[]>): void
  override all(): Promise<(SessionData & { id: string })[]>
  override all(callback?: unknown): unknown {
    return reply(this.#all(), callback)
  }

  override length(callback: Callback<number>): void
  override length(): Promise<number>
  override length(callback?: unknown): unknown {
    return reply(this.#length(), callback)
  }

  override clear(callback?: Callback<never>): void
  override clear(): Promise<void>
  override clear(callback?: unknown): unknown {
    return reply(this.#client.clear(), callback)
  }

  /** Here express-session makes the Session object of a session that was read. */
  override createSession(...[request, data]: Parameters<session.Store['createSession']>): ReturnType<session.Store['createSession']> {
    // A session that another service made for this app knows nothing of cookies.
    data.cookie ??= emptyCookie()
    const made = super.createSession(request, data)
    this.#stored.add(made)
    return made
  }

  async #get(sid: string): Promise<SessionData | null> {
    this.#read.delete(sid)
    const id = await idOf(sid)
    const document = id && (await this.#client.ask('GET', '/' + id, { mayBeGone: true }))
    if (!document) return null
    this.#read.add(sid)
    if (this.#read.size > 10_000) this.#read.delete(this.#read.values().next().value!)
    return sessionOf(document)
  }

  /**
   * Creates the session or replaces it. Each request says which of the two it means, so that what ends
   * a session between its being read and saved wins.
   */
  async #set(sid: string, session: SessionData, maxAge: number): Promise<void> {
    const wasRead = this.#read.delete(sid)
    const id = await idOf(sid)
    if (id === null) throw noId()
    const ttlMs = this.#ttlMs(session, maxAge)
    if (ttlMs <= 0) return this.#destroy(sid)
    const body: Record<string, unknown> = { meta: isId(sid) ? session : { ...session, [sidMember]: sid }, ttlMs }
    if (this.#user) body.user = this.#user(session) ?? null
    if (!this.#stored.has(session) && !wasRead && (await this.#create(id, body))) {
      this.#stored.add(session)
      return
    }
    // That there is none any more is no failure: whoever ended it meant what is saved now, too.
    await this.#client.ask('PUT', '/' + id, { headers: { 'If-Match': '*' }, body, mayBeGone: true })
  }

  /** Whether nothing is left to do: false where there is a session of that id already. */
  async #create(id: string, body: Record<string, unknown>): Promise<boolean> {
    try {
      // A new session may have the id of one that expired, never that of one that was ended.
      await this.#client.ask('PUT', '/' + id, { query: { reviveExpired: 'true' }, headers: { 'If-None-Match': '*' }, body })
    } catch (error) {
      if (!(error instanceof SessionApiError)) throw error
      if (error.code === 'precondition_failed') return false
      if (error.code !== 'session_ended') throw error
    }
    return true
  }

  /** Writes the cookie alone: nothing else differs where a session is touched in place of saved. */
  async #touch(sid: string, session: SessionData): Promise<void> {
    if (this.#disableTouch) return
    const id = await idOf(sid)
    if (id === null) return
    const ttlMs = this.#ttlMs(session)
    if (ttlMs <= 0) return this.#destroy(sid)
    const body = { meta: { cookie: session.cookie }, ttlMs }
    await this.#client.ask('PATCH', '/' + id, { headers: { 'If-Match': '*' }, body, mayBeGone: true })
  }

  async #destroy(sid: string): Promise<void> {
    this.#read.delete(sid)
    const id = await idOf(sid)
    if (id !== null) await this.#client.ask('DELETE', '/' + id, { headers: { 'If-Match': '*' }, mayBeGone: true })
  }

  async #all(): Promise<(SessionData & { id: string })[]> {
    const sessions = []
    for await (const document of this.#client.list()) {
      sessions.push({ ...sessionOf(document), id: document.meta[sidMember] ?? document.id })
    }
    return sessions
  }

  async #length(): Promise<number> {
    return (await this.#client.ask('GET', '/count')).count
  }

  /** The life of a session: by the ttl function, its cookie, the framework's maxAge, or the ttl option. */
  #ttlMs(session: SessionData, maxAge = NaN): number {
    if (typeof this.#ttl === 'function') {
      const answer = this.#ttl(session)
      hold('ttl', ttlAnswer, answer)
      return lifetime(answer * 1000, this.#maxTtl)
    }
    const expires = session.cookie?.expires
    for (const ms of [expires ? new Date(expires).getTime() - Date.now() : NaN, maxAge]) {
      if (!Number.isNaN(ms)) return lifetime(ms, this.#maxTtl)
    }
    return lifetime(this.#ttl * 1000, this.#maxTtl)
  }
}

export default SessionApiStore

/** The member beside the session's own that holds its id, where that is not the document's. */
const sidMember = 'session-api:sid'

function emptyCookie(): any {
  return { originalMaxAge: null, expires: null }
}

/** A merge patch stores no null: of a cookie, what is not there is null. */
function sessionOf({ meta: { [sidMember]: _, ...session } }: Document): SessionData {
  if (session.cookie) session.cookie = { ...emptyCookie(), ...session.cookie }
  return session as SessionData
}

/**
 * Hands the outcome to the callback, outside of the promise: what a callback throws is its own. Where
 * there is no callback, the promise is returned; whoever leaves it alone is not ended by its failure.
 */
function reply<T>(outcome: Promise<T>, callback: unknown): Promise<T> | undefined {
  if (typeof callback === 'function') {
    outcome.then(
      (value) => process.nextTick(callback as Callback<T>, null, value),
      (error) => process.nextTick(callback as Callback<T>, error),
    )
    return undefined
  }
  outcome.catch(() => {})
  return outcome
}

import session from 'express-session'
import type { SessionData } from 'express-session'
import { Client, SessionApiError, isSessionId, lifetime, type ConnectOptions, type Document } from './client.js'

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
  /** Seconds that a session whose cookie has no age lives unused; 86400 by default. */
  ttl?: number | undefined
  /**
   * Seconds that any session lives unused at most; 2592000 (30 days) by default. It goes with
   * SESSION_MAX_TTL_MS of the service, which refuses more.
   */
  maxTtl?: number | undefined
  /** Says whose session it is, each time that it is saved. */
  user?: ((session: SessionData) => User | null | undefined) | undefined
}

/** Keeps the sessions of express-session in session-api. */
export class SessionApiStore extends session.Store {
  readonly #client: Client
  readonly #ttl: number
  readonly #maxTtl: number | undefined
  readonly #user: SessionApiStoreOptions['user']
  /**
   * Session objects of which the service has had a session. When one of them is saved and its session
   * is gone, it has ended meanwhile, and the save must not bring it back.
   */
  readonly #stored = new WeakSet<object>()

  constructor({ ttl = 86400, maxTtl, user, namespace = 'express', ...connection }: SessionApiStoreOptions = {}) {
    super()
    this.#client = new Client({ ...connection, namespace })
    this.#ttl = ttl
    this.#maxTtl = maxTtl
    this.#user = user
  }

  override get(sid: string, callback: (err: any, session?: SessionData | null) => void): void {
    reply(this.#get(sid), callback)
  }

  override set(sid: string, session: SessionData, callback?: (err?: any) => void): void {
    reply(this.#set(sid, session), callback)
  }

  override touch(sid: string, session: SessionData, callback?: (err?: any) => void): void {
    reply(this.#touch(sid, session), callback)
  }

  override destroy(sid: string, callback?: (err?: any) => void): void {
    reply(this.#destroy(sid), callback)
  }

  /** Each session comes with its `id`. */
  override all(callback: (err: any, sessions?: (SessionData & { id: string })[]) => void): void {
    reply(this.#all(), callback)
  }

  override length(callback: (err: any, length?: number) => void): void {
    reply(this.#length(), callback)
  }

  override clear(callback?: (err?: any) => void): void {
    reply(this.#client.clear(), callback)
  }

  /** Here express-session makes the Session object of a session that was read. */
  override createSession(...args: Parameters<session.Store['createSession']>): ReturnType<session.Store['createSession']> {
    const made = super.createSession(...args)
    this.#stored.add(made)
    return made
  }

  async #get(sid: string): Promise<SessionData | null> {
    if (!isSessionId(sid)) return null
    const document = await this.#client.ask('GET', '/' + sid)
    return document && sessionOf(document)
  }

  /**
   * Creates the session or replaces it. Each request says which of the two it means, so that what ends
   * a session between its being read and saved wins.
   */
  async #set(sid: string, session: SessionData): Promise<void> {
    if (!isSessionId(sid)) {
      throw new SessionApiError('invalid_id', 'session-api takes session ids of 16 to 128 letters, digits, - and _: see genid')
    }
    const ttlMs = this.#ttlMs(session)
    if (ttlMs <= 0) return this.#destroy(sid)
    const body: Record<string, unknown> = { meta: session, ttlMs }
    if (this.#user) body.user = this.#user(session) ?? null
    if (!this.#stored.has(session) && (await this.#create(sid, body))) {
      this.#stored.add(session)
      return
    }
    // That there is none any more is no failure: whoever ended it meant what is saved now, too.
    await this.#client.ask('PUT', '/' + sid, { headers: { 'If-Match': '*' }, body })
  }

  /** Whether nothing is left to do: false where there is a session of that id already. */
  async #create(sid: string, body: Record<string, unknown>): Promise<boolean> {
    try {
      // A new session may have the id of one that expired, never that of one that was ended.
      await this.#client.ask('PUT', '/' + sid, { query: { reviveExpired: 'true' }, headers: { 'If-None-Match': '*' }, body })
    } catch (error) {
      if (!(error instanceof SessionApiError)) throw error
      if (error.code === 'precondition_failed') return false
      if (error.code !== 'session_ended') throw error
    }
    return true
  }

  /** Writes the cookie alone: nothing else differs where a session is touched in place of saved. */
  async #touch(sid: string, session: SessionData): Promise<void> {
    if (!isSessionId(sid)) return
    const ttlMs = this.#ttlMs(session)
    if (ttlMs <= 0) return this.#destroy(sid)
    const body = { meta: { cookie: session.cookie }, ttlMs }
    await this.#client.ask('PATCH', '/' + sid, { headers: { 'If-Match': '*' }, body })
  }

  async #destroy(sid: string): Promise<void> {
    if (!isSessionId(sid)) return
    await this.#client.ask('DELETE', '/' + sid, { headers: { 'If-Match': '*' } })
  }

  async #all(): Promise<(SessionData & { id: string })[]> {
    const sessions = []
    for await (const document of this.#client.list()) {
      sessions.push({ ...sessionOf(document), id: document.id })
    }
    return sessions
  }

  async #length(): Promise<number> {
    return (await this.#client.ask('GET', '/count')).count
  }

  #ttlMs(session: SessionData): number {
    const expires = session.cookie?.expires
    const left = expires ? new Date(expires).getTime() - Date.now() : NaN
    return lifetime(Number.isNaN(left) ? this.#ttl * 1000 : left, this.#maxTtl)
  }
}

export default SessionApiStore

/**
 * A merge patch stores no null, and another service that creates a session for this app knows nothing
 * of cookies: what is not there is null.
 */
function sessionOf({ meta }: Document): SessionData {
  return { ...meta, cookie: { originalMaxAge: null, expires: null, ...meta.cookie } }
}

/** Hands the outcome to the callback, outside of the promise: what a callback throws is its own. */
function reply<T>(outcome: Promise<T>, callback: (err: any, value?: T) => void = () => {}): void {
  outcome.then(
    (value) => process.nextTick(callback, null, value),
    (error) => process.nextTick(callback, error),
  )
}

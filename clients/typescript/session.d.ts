import type { components } from './schema.js'
import type { SessionApiError } from './problem.js'

type Schemas = components['schemas']
type Document = Schemas['Session']
type User = NonNullable<Schemas['User']>
type SectionName = 'inputs' | 'apiConfig' | 'results' | 'meta'

/** What an app keeps in each section. All members are optional in practice: a new session is empty. */
export interface SectionTypes {
  inputs?: object
  apiConfig?: object
  results?: object
  meta?: object
}

/** The sections of T, and those that it does not name as the contract has them. */
export type Sections<T extends SectionTypes = {}> = {
  [Name in SectionName]: Name extends keyof T ? NonNullable<T[Name]> : Document[Name]
}

/** What `update` hands over: a copy of the sections, to be changed at will. */
export type Draft<T extends SectionTypes = {}> = Sections<T> & { user: Schemas['User'] }

/** Read-only at any depth. */
export type DeepReadonly<T> = T extends object ? { readonly [Name in keyof T]: DeepReadonly<T[Name]> } : T

/**
 * A session as it was read. It is frozen, and a part that is the same as before is the same object.
 */
export type TypedSession<T extends SectionTypes = {}> = DeepReadonly<Omit<Document, SectionName> & Sections<T>>

export interface SessionOptions {
  /** Where the service is. Empty, as by default, is the page's own origin; outside of pages it is needed. */
  baseUrl?: string | URL | undefined
  /**
   * How a session that `load` creates is known from then on: by the browser's cookie, as by default, or
   * by a bearer token, which the handle keeps and sends.
   */
  transport?: 'cookie' | 'bearer' | undefined
  /** The bearer token of a session that there is already. A function is asked before each request. */
  token?: string | (() => string | null | undefined | Promise<string | null | undefined>) | undefined
  /** Is told each token that the service issues, so that it can be stored. */
  onToken?: ((token: string) => void) | undefined
  /** Sent with each request. */
  headers?: HeadersInit | undefined
  /** As in `fetch`; `include` by default, so that the cookie is sent to another origin as well. */
  credentials?: RequestCredentials | undefined
  /** Milliseconds after which one attempt is given up; 10000 by default. */
  timeout?: number | undefined
  /**
   * How often a request is repeated where the service cannot be reached, answers 503 or is still at it; 2 by
   * default. A request that changes something has an `Idempotency-Key`, the same for its repeats: the service
   * does it once, and answers each of them the same.
   */
  retries?: number | undefined
  /**
   * Makes the `Idempotency-Key` of a request that changes something; by default a random UUID. With `false` there is
   * none, and such a request is never repeated: for a service that remembers none (`IDEMPOTENCY_TTL_MS=0`, or a
   * version before it).
   */
  idempotencyKey?: (() => string) | false | undefined
  /** Another fetch than the global one. */
  fetch?: ((url: string, init: RequestInit) => Promise<Response>) | undefined
}

/** How to give up: the call rejects with the signal's reason. What was sent already may still take effect. */
export interface CallOptions {
  signal?: AbortSignal | undefined
}

/**
 * The caller's session. Its calls run one after the other. They reject with a {@link SessionApiError}
 * where something goes wrong with a request.
 */
export interface SessionHandle<T extends SectionTypes = {}> {
  /** What is known of the session: undefined before it was read, and after it has ended. */
  readonly current: TypedSession<T> | undefined
  /**
   * The session, as far as it is known, and otherwise as the service has it. Where there is no live one, it is
   * created, with `init` in its sections. However often it is called, a page asks once, and the tabs of
   * a browser wait for each other. With `remember` the cookie survives the browser and the idle timeout is a longer
   * one; with `false` it does not. Without either, the service's settings decide.
   */
  load(init?: Partial<Sections<T>> & { ttlMs?: number; remember?: boolean }, options?: CallOptions): Promise<TypedSession<T>>
  /** Reads the session, which counts as a use of it. It creates none: without a live one, a SignedOutError. */
  reload(options?: CallOptions): Promise<TypedSession<T>>
  /**
   * Changes the session. `change` gets a copy of the sections; what it makes different, and nothing else,
   * is sent as a JSON Patch that applies only to the session as it was read. Where somebody else was
   * faster, the session is read again and `change` called again, 8 times in all: it must have no effect
   * but that on its argument, and not be async. What it returns means nothing. Without a difference nothing
   * is sent. Returns the session as it is then.
   */
  update(change: (draft: Draft<T>) => unknown, options?: CallOptions): Promise<TypedSession<T>>
  /**
   * Gives the session a new id and token. For `graceMs` milliseconds the old token opens it as well, so
   * that no request on its way is lost. `remember` is as with `load`; without it, the cookie keeps its kind.
   */
  regenerate(options?: CallOptions & { graceMs?: number | undefined; remember?: boolean | undefined }): Promise<TypedSession<T>>
  /** Ends the session. That it has ended already is no failure. */
  end(options?: CallOptions): Promise<void>
  /** Calls a function each time that `current` has changed. Returns what ends that. */
  subscribe(listener: () => void): () => void
}

/**
 * A handle of the caller's session, which sends nothing by itself. The type says what the app keeps in
 * the sections; it is taken at its word.
 */
export function createSession<T extends SectionTypes & { [Name in Exclude<keyof T, SectionName>]: never } = {}>(
  options?: SessionOptions,
): SessionHandle<T>

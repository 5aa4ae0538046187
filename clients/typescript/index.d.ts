import type { Client, ClientOptions } from 'openapi-fetch'
import type { components, operations, paths } from './schema.js'

export type { components, operations, paths }
export * from './problem.js'
export * from './session.js'

type Schemas = components['schemas']

export type Session = Schemas['Session']
export type IssuedSession = Schemas['IssuedSession']
export type NewSession = Schemas['NewSession']
export type NewSessionFor = Schemas['NewSessionFor']
export type ClientInput = Schemas['ClientInput']
export type SessionInput = Schemas['SessionInput']
export type SessionPatch = Schemas['SessionPatch']
export type User = NonNullable<Schemas['User']>
export type UserInput = NonNullable<Schemas['UserInput']>
export type UserPatch = NonNullable<Schemas['UserPatch']>
export type JsonPatch = Schemas['JsonPatch']
export type JsonPatchOperation = Schemas['JsonPatchOperation']
export type ServiceSession = Schemas['ServiceSession']
export type SessionList = Schemas['SessionList']
export type EventType = Schemas['EventType']
export type Stats = Schemas['Stats']
export type CleanupReport = Schemas['CleanupReport']
export type Problem = Schemas['Problem']
export type ProblemCode = Schemas['ProblemCode']
export type ProblemError = Schemas['ProblemError']

export type SessionClient = Client<paths>

export interface SessionClientOptions extends ClientOptions {
  /**
   * Sent as the bearer token: that of a session, or a service token. A function is asked before each
   * request, because regenerating a session changes its token. Without a token the cookie speaks. An
   * `Authorization` among the headers comes first.
   */
  token?: string | (() => string | null | undefined | Promise<string | null | undefined>) | undefined
  /**
   * How often a request is repeated where the service cannot be reached, answers 503 or is still at it; 0 by
   * default. What changes something has an `Idempotency-Key` then, the same for its repeats.
   */
  retries?: number | undefined
  /**
   * Makes these keys; by default a random UUID. With `false` there are none, and a request that needs one is
   * sent once.
   */
  idempotencyKey?: (() => string) | false | undefined
}

/** Makes a client of the service at `baseUrl`. Its methods take a path of the contract. */
export function createSessionClient(options?: SessionClientOptions): SessionClient

/** The ETag of the document in an answer, for `If-Match`. Throws where the answer has none. */
export function etag(response: Response): string

import type { Client, ClientOptions } from 'openapi-fetch'
import type { components, operations, paths } from './schema.js'

export type { components, operations, paths }

type Schemas = components['schemas']

export type Session = Schemas['Session']
export type IssuedSession = Schemas['IssuedSession']
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
  /** Sent as the bearer token: that of a session, or a service token. Without it, the cookie speaks. */
  token?: string
}

/** Makes a client of the service at `baseUrl`. Its methods take a path of the contract. */
export function createSessionClient(options?: SessionClientOptions): SessionClient

/**
 * The ETag of an answer with a session, for `If-Match`. It is opaque, and cannot be worked out from the session.
 * Throws a TypeError if the answer has none.
 */
export function etag(answer: { response: Response }): string

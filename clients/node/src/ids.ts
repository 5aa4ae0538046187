import { SessionApiError } from './client.js'

const validId = /^[A-Za-z0-9_-]{16,128}$/

/** What the ids of keys begin with that cannot be ids themselves. */
const digested = 'sha256-'

/** Whether a key names its session as it is. */
export function isId(key: string): boolean {
  return validId.test(key) && !key.startsWith(digested)
}

/**
 * The id of the session that belongs to a key: the key where it can be an id, and otherwise `sha256-`
 * and the SHA-256 of its UTF-8 in base64url without padding. Two keys never share an id: what begins
 * with `sha256-` itself is digested as well. A text with half a surrogate pair, which is no Unicode
 * and has no UTF-8, has no id: null.
 */
export async function idOf(key: string): Promise<string | null> {
  if (isId(key)) return key
  if (!key.isWellFormed()) return null
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(key)))
  const base64 = btoa(String.fromCharCode(...digest))
  return digested + base64.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
}

/** The failure of a write under a key that has no id. */
export function noId(): SessionApiError {
  return new SessionApiError('invalid_id', 'session-api takes no key with half a surrogate pair: it is no Unicode')
}

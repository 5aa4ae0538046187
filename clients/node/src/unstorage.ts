import type { Driver } from 'unstorage'
import { Client, SessionApiError, isSessionId, lifetime, type Call, type ConnectOptions, type Document } from './client.js'

export { SessionApiError }

export interface SessionApiDriverOptions extends ConnectOptions {
  /** Seconds that an item lives after it was set; 86400 by default. `ttl` in the options of `setItem` comes first. */
  ttl?: number | undefined
  /**
   * Seconds that any item lives at most; 2592000 (30 days) by default. It goes with SESSION_MAX_TTL_MS of
   * the service, which refuses more.
   */
  maxTtl?: number | undefined
  /**
   * Whether an item that was removed lately may be set again; true by default. With false that fails with
   * `session_ended`, so that a late write does not bring back a session that was ended.
   */
  revive?: boolean | undefined
}

/** A driver for unstorage that keeps items in session-api. */
export default function sessionApiDriver(options: SessionApiDriverOptions = {}) {
  const { url, namespace = 'unstorage', ttl = 86400, maxTtl, revive = true } = options
  const client = new Client({ ...options, namespace })

  async function ask(method: string, key: string, call?: Call): Promise<any> {
    return client.ask(method, '/' + (await idOf(key)), call)
  }

  const driver = {
    name: 'session-api',
    flags: { ttl: true },
    /** The token is not among them: these end up in logs and in developers' tools. */
    options: { url, namespace, ttl },

    async hasItem(key: string): Promise<boolean> {
      return (await ask('HEAD', key)) !== null
    },

    async getItem(key: string): Promise<string | null> {
      const document: Document | null = await ask('GET', key)
      return document?.meta.value ?? null
    },

    async setItem(key: string, value: string, opts?: { ttl?: number }): Promise<void> {
      const ttlMs = lifetime((opts?.ttl || ttl) * 1000, maxTtl)
      await ask('PUT', key, { query: { revive: String(revive) }, body: { meta: { key, value }, ttlMs } })
    },

    async removeItem(key: string): Promise<void> {
      await ask('DELETE', key)
    },

    /** `ttl` is the rest of the item's life in seconds. */
    async getMeta(key: string): Promise<{ mtime: Date; birthtime: Date; ttl: number } | null> {
      const document: Document | null = await ask('GET', key)
      return document && {
        mtime: new Date(document.updatedAt),
        birthtime: new Date(document.createdAt),
        ttl: Math.max(0, (Date.parse(document.expiresAt) - Date.now()) / 1000),
      }
    },

    async getKeys(base = ''): Promise<string[]> {
      const keys: string[] = []
      for await (const { meta } of client.list()) {
        if (typeof meta.key === 'string' && meta.key.startsWith(base)) keys.push(meta.key)
      }
      return keys
    },

    async clear(base = ''): Promise<void> {
      if (base === '') return client.clear()
      for (const key of await driver.getKeys(base)) await ask('DELETE', key)
    },
  } satisfies Driver
  return driver
}

/** What ids of keys begin with that cannot be ids themselves. */
const digested = 'sha256-'

/**
 * The id of the session that keeps an item: its key where that can be an id, so that sessions go by
 * their own ids, and otherwise the key's digest. The key itself is kept beside the value.
 */
async function idOf(key: string): Promise<string> {
  if (isSessionId(key) && !key.startsWith(digested)) return key
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(key)))
  const base64 = btoa(String.fromCharCode(...digest))
  return digested + base64.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
}

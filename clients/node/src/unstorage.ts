import type { Driver } from 'unstorage' with { 'resolution-mode': 'import' }
import { Client, SessionApiError, lifetime, type Call, type ConnectOptions, type Document } from './client.js'
import { idOf, noId } from './ids.js'
import { bool, check, connectRules, hold, seconds } from './options.js'

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
  /** The name that Nitro's `storage` setting finds this driver by, and hands over. It means nothing here. */
  driver?: string | undefined
}

const rules = {
  ...connectRules,
  ttl: seconds,
  maxTtl: seconds,
  revive: bool,
  driver: { is: 'a text', holds: (value: unknown) => typeof value === 'string' },
}

/** What drivers of other databases have. */
const foreign = {
  base: 'mount the driver below a name, or give each app a namespace of its own',
  prefix: 'mount the driver below a name, or give each app a namespace of its own',
  host: 'set url',
  port: 'set url',
  password: 'set token',
}

/** A driver for unstorage that keeps items in session-api. */
export function sessionApiDriver(options: SessionApiDriverOptions = {}) {
  check(options, rules, foreign)
  const { url, namespace = 'unstorage', ttl = 86400, maxTtl, revive = true } = options
  const client = new Client({ ...options, namespace })

  /** Null, too, where the key cannot have a session. */
  async function ask(method: string, key: string, call?: Call): Promise<any> {
    const id = await idOf(key)
    return id && client.ask(method, '/' + id, { ...call, mayBeGone: true })
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
      const own = opts?.ttl || ttl
      hold('ttl', seconds, own)
      const id = await idOf(key)
      if (id === null) throw noId()
      const ttlMs = lifetime(own * 1000, maxTtl)
      await client.ask('PUT', '/' + id, { query: { revive: String(revive) }, body: { meta: { key, value }, ttlMs } })
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

export default sessionApiDriver

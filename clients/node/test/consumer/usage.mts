// What an app of ES modules writes in TypeScript.
import type { SessionData, Store } from 'express-session'
import SessionApiStore, { SessionApiError, type SessionApiStoreOptions } from 'session-api-store/express'
import sessionApiDriver from 'session-api-store/unstorage'
import { requireSession, type Identity } from 'session-api-store/middleware'
import type { Driver } from 'unstorage'

const options: SessionApiStoreOptions = { namespace: 'shop', ttl: (data: SessionData) => data.cookie.maxAge ?? 60 }
const store: Store = new SessionApiStore(options)
store.get('id', (error: unknown) => error instanceof SessionApiError)
const driver: Driver = sessionApiDriver({ namespace: 'shop' })
const passing: (...args: Parameters<ReturnType<typeof requireSession>>) => Identity | null | undefined = (req) => req.sessionApi
requireSession({ roles: 'editor', onRefused: () => passing })
console.log(typeof store.get, driver.name)

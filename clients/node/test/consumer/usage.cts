// What a CommonJS app writes in TypeScript. package.test.mjs compiles it as several kinds of apps do,
// against the packed package, and runs it.
import type session = require('express-session')
import { SessionApiError, SessionApiStore, type SessionApiStoreOptions } from 'session-api-store/express'
import { requireSession, type Identity } from 'session-api-store/middleware'
import { sessionApiDriver, type SessionApiDriverOptions } from 'session-api-store/unstorage'

const options: SessionApiStoreOptions = { namespace: 'shop', ttl: (data: session.SessionData) => data.cookie.maxAge ?? 60 }
const store: session.Store = new SessionApiStore(options)
store.get('id', (error: unknown) => error instanceof SessionApiError)
const driverOptions: SessionApiDriverOptions = { namespace: 'shop' }
const value: Promise<string | null> = sessionApiDriver(driverOptions).getItem('a')
value.catch(() => {})
const passing: (...args: Parameters<ReturnType<typeof requireSession>>) => Identity | null | undefined = (req) => req.sessionApi
requireSession({ roles: 'editor', onRefused: () => passing })
console.log(typeof store.get, sessionApiDriver().name)

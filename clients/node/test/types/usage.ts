// Compiled, never run: what an app writes, as strictly as TypeScript can look at it.
import express from 'express'
import session from 'express-session'
import Fastify from 'fastify'
import fastifyCookie from '@fastify/cookie'
import fastifySession from '@fastify/session'
import Koa from 'koa'
import { createSession } from 'koa-session'
import { createStorage, type Driver } from 'unstorage'
import { SessionApiStore, SessionApiError, type SessionApiStoreOptions } from 'session-api-store/express'
import DefaultStore from 'session-api-store/express'
import { requireSession, sessionVerifier, withSession, type Identity } from 'session-api-store/middleware'
import sessionApiDriver, { type SessionApiDriverOptions } from 'session-api-store/unstorage'

declare module 'express-session' {
  interface SessionData {
    login: string
  }
}

const options: SessionApiStoreOptions = {
  url: process.env.SESSION_API_URL,
  token: process.env.SESSION_API_TOKEN,
  namespace: 'shop',
  ttl: 3600,
  maxTtl: 86400,
  timeout: 2000,
  fetch: globalThis.fetch,
  user: (data) => (data.login ? { id: data.login, roles: ['editor'] } : null),
}
const store: session.Store = new SessionApiStore(options)
export const app = express().use(session({ store, secret: 'x', resave: false, saveUninitialized: false }))
export const fastify = Fastify().register(fastifyCookie).register(fastifySession, { store: new SessionApiStore(), secret: 'x'.repeat(32) })
export const koa = new Koa()
koa.use(createSession({ store: new SessionApiStore({ disableTouch: true }) }, koa))
new SessionApiStore({ ttl: ({ login, cookie }) => (login ? 3600 : (cookie.maxAge ?? 60)) })
export const same: SessionApiStore = new DefaultStore()

new SessionApiStore().all((error, sessions) => {
  if (error instanceof SessionApiError && error.code === 'timeout') return
  for (const { id, cookie, login } of sessions ?? []) console.log(id.length, cookie.maxAge, login.length)
})
export const found: Promise<number> = new SessionApiStore().all().then(([first]) => first?.id.length ?? 0)
new SessionApiStore().length((_, length) => length?.toFixed())

const driverOptions: SessionApiDriverOptions = { namespace: 'shop', revive: false }
const driver: Driver = sessionApiDriver(driverOptions)
export const storage = createStorage<{ visits: number }>({ driver })
export const meta: Promise<{ ttl: number } | null> = sessionApiDriver().getMeta('a')

app.get('/account', requireSession({ roles: ['editor'] as const, maxAuthAge: 900, level: 'aal2', method: ['otp'] }), (req, res) => {
  res.send(req.sessionApi?.user?.auth?.methods.join())
})
requireSession({ onRefused: ({ status, code }, _, res: express.Response) => res.status(status).send(code) })
export const worker: { fetch(request: Request, env: { name: string }): Promise<Response> } = {
  fetch: withSession({ optional: true }, (request: Request, identity, env: { name: string }) => Response.json([request.url, identity?.sessionId, env.name])),
}
export async function who(request: Request): Promise<Identity | null> {
  const { passes, identity, refusal } = await sessionVerifier()(request)
  if (!passes) throw new Error(refusal.code)
  return identity
}
// @ts-expect-error it is called roles
requireSession({ role: 'admin' })
// @ts-expect-error seconds are a number
requireSession({ maxAuthAge: '15m' })

// @ts-expect-error a misspelt option
new SessionApiStore({ namepsace: 'shop' })
// @ts-expect-error seconds are a number
sessionApiDriver({ ttl: '1h' })
// @ts-expect-error a ttl function answers a number
new SessionApiStore({ ttl: () => '1h' })
// @ts-expect-error an option of connect-redis
new SessionApiStore({ prefix: 'sess:' })
// @ts-expect-error a user has an id
new SessionApiStore({ user: () => ({ email: 'ada@example.org' }) })
// @ts-expect-error set takes a session
new SessionApiStore().set('id', 'no session')

// Koa apps, on both of Koa's session middlewares, with the store of express-session as it is.
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'node:test'
import Koa from 'koa'
import generic from 'koa-generic-session'
import { createSession } from 'koa-session'
import { SessionApiStore } from 'session-api-store/express'
import { Browser, call, options, recorder, serve, services, until } from './service.mjs'

const middlewares = {
  'koa-session': {
    cookie: 'koa.sess',
    use: (app, store, maxAge) => app.use(createSession({ store, maxAge, signed: true }, app)),
    regenerate: (ctx) => ctx.session.regenerate(),
  },
  'koa-session with a prefix': {
    cookie: 'koa.sess',
    use: (app, store, maxAge) => app.use(createSession({ store, maxAge, signed: true, rolling: true, prefix: 'koa:sess:' }, app)),
    regenerate: (ctx) => ctx.session.regenerate(),
  },
  'koa-generic-session': {
    cookie: 'koa.sid',
    use: (app, store, maxAge) => app.use(generic({ store, cookie: { maxAge, signed: true } })),
    regenerate: (ctx) => ctx.regenerateSession(),
  },
}

async function shop(t, at, { use, regenerate }, maxAge = 3_600_000) {
  const held = []
  const app = new Koa()
  app.keys = ['of the app']
  app.silent = true
  use(app, new SessionApiStore(at), maxAge)
  app.use(async (ctx) => {
    switch (`${ctx.method} ${ctx.path}`) {
      case 'GET /visit':
        ctx.session.visits = (ctx.session.visits ?? 0) + 1
        ctx.body = `${ctx.session.user ?? 'nobody'} ${ctx.session.visits}`
        break
      case 'GET /keys':
        ctx.body = Object.keys(ctx.session).filter((key) => !key.startsWith('_') && !['cookie', 'isNew'].includes(key)).join()
        break
      case 'GET /slow-visit':
        ctx.session.visits++
        await new Promise((resolve) => held.push(resolve))
        ctx.body = 'done'
        break
      case 'POST /login':
        await regenerate(ctx)
        ctx.session.user = 'ada'
        ctx.body = 'hello'
        break
      case 'POST /logout':
        ctx.session = null
        ctx.body = 'bye'
        break
    }
  })
  return { held, ...(await serve(t, app.callback())) }
}

for (const [name, url] of Object.entries(services)) {
  for (const [kind, middleware] of Object.entries(middlewares)) {
    test(`a Koa app on the ${name} service with ${kind} signs in, survives its own restart, signs out`, async (t) => {
      const at = options({ url })
      const visitor = new Browser()
      const first = await shop(t, at, middleware)
      assert.equal((await visitor.ask(first.url + '/visit')).body, 'nobody 1')
      const anonymous = visitor.cookies.get(middleware.cookie)
      assert.ok(anonymous)
      assert.equal((await visitor.ask(first.url + '/visit')).body, 'nobody 2')
      assert.equal((await visitor.ask(first.url + '/login', 'POST')).body, 'hello')
      assert.notEqual(visitor.cookies.get(middleware.cookie), anonymous)
      await visitor.ask(first.url + '/visit')
      await first.stop()

      const second = await shop(t, at, middleware)
      assert.match((await visitor.ask(second.url + '/visit')).body, /^ada \d$/)
      assert.match((await visitor.ask(second.url + '/keys')).body, /^(visits,user|user,visits)$/)
      assert.deepEqual((await call(at, 'GET', '/count')).body, { count: 1 })
      const [{ expiresAt }] = (await call(at, 'GET', '')).body.sessions
      const life = Date.parse(expiresAt) - Date.now()
      assert.ok(life > 3_500_000 && life < 3_700_000, `it lives as long as its cookie: ${life}`)

      const tab = new Browser()
      const late = new Browser()
      tab.cookies = new Map(visitor.cookies)
      late.cookies = new Map(visitor.cookies)
      const slow = tab.ask(second.url + '/slow-visit')
      while (second.held.length === 0) await delay(5)
      assert.equal((await visitor.ask(second.url + '/logout', 'POST')).body, 'bye')
      second.held[0]()
      const answer = await slow
      assert.deepEqual([answer.status, answer.body], [200, 'done'], 'the late request itself succeeds')
      assert.deepEqual((await call(at, 'GET', '/count')).body, { count: 0 }, 'and does not sign in again')
      assert.equal((await late.ask(second.url + '/visit')).body, 'nobody 1')
    })
  }
}

test('a session of a Koa app ends with its cookie', async (t) => {
  const at = options()
  const { url } = await shop(t, at, middlewares['koa-generic-session'], 400)
  await new Browser().ask(url + '/visit')
  await until(async () => (await call(at, 'GET', '/count')).body.count === 0)
})

test('a Koa session without an age lives for the ttl', async (t) => {
  const at = options({ ttl: 1800 })
  const { url } = await shop(t, at, middlewares['koa-session'], 'session')
  await new Browser().ask(url + '/visit')
  const [{ expiresAt }] = (await call(at, 'GET', '')).body.sessions
  const life = Date.parse(expiresAt) - Date.now()
  assert.ok(life > 1_700_000 && life <= 1_800_000, String(life))
})

test('a request of a Koa app is one read and one save', async (t) => {
  const { fetch, requests } = recorder()
  const { url } = await shop(t, options({ fetch }), middlewares['koa-session'])
  const visitor = new Browser()
  await visitor.ask(url + '/visit')
  await visitor.ask(url + '/visit')
  assert.deepEqual(requests.map(({ method, status }) => [method, status]), [['PUT', 201], ['GET', 200], ['PUT', 200]])
})

test('a service that refuses is a failure of the Koa app', async (t) => {
  for (const middleware of Object.values(middlewares)) {
    const { url } = await shop(t, options({ token: 'w'.repeat(40) }), middleware)
    const visitor = new Browser()
    assert.equal((await visitor.ask(url + '/visit')).status, 500)
  }
})

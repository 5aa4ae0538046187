// Express apps as people write them, with express-session on top of the store.
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, test } from 'node:test'
import express from 'express'
import session from 'express-session'
import { SessionApiStore } from 'session-api-store/express'
import { Browser, call, options, recorder, serve, services } from './service.mjs'

/** An app with sign-in, a visit counter, and a page whose answer can be held back. */
function shop(t, at, settings) {
  const held = []
  const app = express()
  app.use(session({
    store: new SessionApiStore(at),
    secret: 'of the app',
    resave: false,
    saveUninitialized: false,
    cookie: { maxAge: 3_600_000 },
    ...settings,
  }))
  app.get('/visit', (req, res) => {
    req.session.visits = (req.session.visits ?? 0) + 1
    res.send(`${req.session.user ?? 'nobody'} ${req.session.visits}`)
  })
  app.get('/slow-visit', (req, res) => {
    req.session.visits = (req.session.visits ?? 0) + 1
    held.push(() => res.send('done'))
  })
  app.get('/look', (req, res) => res.send(String(req.session.visits)))
  app.post('/login', (req, res, next) => {
    const { visits } = req.session
    req.session.regenerate((error) => {
      if (error) return next(error)
      Object.assign(req.session, { user: 'ada', visits })
      res.send('hello')
    })
  })
  app.post('/logout', (req, res, next) => {
    req.session.destroy((error) => (error ? next(error) : res.clearCookie('connect.sid').send('bye')))
  })
  app.set('env', 'test') // Express' own error handler is silent then
  app.use((error, req, res, next) => {
    app.failure = error
    next(error)
  })
  return serve(t, app).then((server) => ({ app, held, ...server }))
}

for (const [name, url] of Object.entries(services)) {
  for (const settings of [{}, { resave: true, saveUninitialized: true, rolling: true }]) {
    describe(`An Express app on the ${name} service, ${JSON.stringify(settings)}`, () => {
      test('signs in, counts, survives its own restart, signs out', async (t) => {
        const at = options({ url })
        const visitor = new Browser()
        const first = await shop(t, at, settings)
        assert.equal((await visitor.ask(first.url + '/visit')).body, 'nobody 1')
        const anonymous = visitor.cookies.get('connect.sid')
        assert.equal((await visitor.ask(first.url + '/visit')).body, 'nobody 2')
        await visitor.ask(first.url + '/login', 'POST')
        assert.notEqual(visitor.cookies.get('connect.sid'), anonymous)
        assert.equal((await visitor.ask(first.url + '/visit')).body, 'ada 3')
        await first.stop()

        const second = await shop(t, at, settings)
        assert.equal((await visitor.ask(second.url + '/visit')).body, 'ada 4')
        assert.equal((await visitor.ask(second.url + '/look')).body, '4')
        assert.deepEqual((await call(at, 'GET', '/count')).body, { count: 1 })
        const thief = new Browser()
        thief.cookies.set('connect.sid', anonymous)
        assert.equal((await thief.ask(second.url + '/visit')).body, 'nobody 1', 'the id of before the sign-in opens nothing')

        const late = new Browser()
        late.cookies = new Map(visitor.cookies)
        assert.equal((await visitor.ask(second.url + '/logout', 'POST')).body, 'bye')
        assert.equal((await late.ask(second.url + '/visit')).body, 'nobody 1')
      })

      test('a request that is in flight while its visitor signs out does not sign them in again', async (t) => {
        const at = options({ url })
        const { url: app, held } = await shop(t, at, settings)
        const visitor = new Browser()
        await visitor.ask(app + '/login', 'POST')
        const tab = new Browser()
        tab.cookies = new Map(visitor.cookies)
        const signedIn = new Map(visitor.cookies)
        const slow = tab.ask(app + '/slow-visit')
        while (held.length === 0) await delay(5)
        await visitor.ask(app + '/logout', 'POST')
        held[0]()
        const answer = await slow
        assert.deepEqual([answer.status, answer.body], [200, 'done'], 'the late request itself succeeds')
        assert.deepEqual((await call(at, 'GET', '/count')).body, { count: 0 })
        tab.cookies = signedIn
        assert.equal((await tab.ask(app + '/visit')).body, 'nobody 1')
      })
    })
  }
}

test('a request that changes nothing touches, in one call', async (t) => {
  const { fetch, requests } = recorder()
  const { url } = await shop(t, options({ fetch }))
  const visitor = new Browser()
  await visitor.ask(url + '/visit')
  requests.length = 0
  await visitor.ask(url + '/look')
  assert.deepEqual(requests.map(({ method, status }) => [method, status]), [['GET', 200], ['PATCH', 200]])
})

test('a service that refuses the app is the app\'s failure, not the visitor\'s', async (t) => {
  const { app, url } = await shop(t, options({ token: 'w'.repeat(40) }))
  const visitor = new Browser()
  assert.equal((await visitor.ask(url + '/visit')).status, 200, 'express-session answers before it saves')
  assert.equal(app.failure.code, 'unauthorized')
  assert.equal((await visitor.ask(url + '/visit')).status, 500)
})

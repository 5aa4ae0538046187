// A Fastify app on @fastify/session, with the store of express-session as it is.
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'node:test'
import Fastify from 'fastify'
import cookie from '@fastify/cookie'
import session from '@fastify/session'
import { SessionApiStore } from 'session-api-store/express'
import { Browser, call, options, recorder, services } from './service.mjs'

async function shop(t, at, settings) {
  const held = []
  const app = Fastify()
  app.register(cookie)
  app.register(session, {
    store: new SessionApiStore(at),
    secret: 'of the app, which has to be longer',
    cookie: { secure: false, maxAge: 3_600_000 },
    ...settings,
  })
  app.get('/visit', async (request) => {
    request.session.visits = (request.session.visits ?? 0) + 1
    return `${request.session.user ?? 'nobody'} ${request.session.visits}`
  })
  app.get('/look', async (request) => String(request.session.visits))
  app.get('/slow-visit', (request, reply) => {
    request.session.visits++
    held.push(() => reply.send('done'))
  })
  app.post('/login', async (request) => {
    await request.session.regenerate(['visits'])
    request.session.user = 'ada'
    return 'hello'
  })
  app.post('/logout', async (request) => {
    await request.session.destroy()
    return 'bye'
  })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const stop = () => app.close()
  t.after(stop)
  return { url, held, stop }
}

for (const [name, url] of Object.entries(services)) {
  for (const settings of [{}, { saveUninitialized: false, rolling: false }, { idGenerator: () => 'id:' + crypto.randomUUID() }]) {
    test(`a Fastify app on the ${name} service, ${Object.keys(settings)}: signs in, survives its own restart, signs out`, async (t) => {
      const at = options({ url })
      const visitor = new Browser()
      const first = await shop(t, at, settings)
      assert.equal((await visitor.ask(first.url + '/visit')).body, 'nobody 1')
      const anonymous = visitor.cookies.get('sessionId')
      assert.equal((await visitor.ask(first.url + '/visit')).body, 'nobody 2')
      assert.equal((await visitor.ask(first.url + '/login', 'POST')).body, 'hello')
      assert.notEqual(visitor.cookies.get('sessionId'), anonymous)
      assert.equal((await visitor.ask(first.url + '/visit')).body, 'ada 3')
      await first.stop()

      const second = await shop(t, at, settings)
      assert.equal((await visitor.ask(second.url + '/visit')).body, 'ada 4')
      assert.equal((await visitor.ask(second.url + '/look')).body, '4')
      assert.deepEqual((await call(at, 'GET', '/count')).body, { count: 1 })

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

test('a request of a Fastify app is one read and one save', async (t) => {
  const { fetch, requests } = recorder()
  const { url } = await shop(t, options({ fetch }), {})
  const visitor = new Browser()
  await visitor.ask(url + '/visit')
  await visitor.ask(url + '/visit')
  assert.deepEqual(requests.map(({ method, status }) => [method, status]), [['PUT', 201], ['GET', 200], ['PUT', 200]])
})

test('a service that is away is a failure of the Fastify app, no new session', async (t) => {
  const { url } = await shop(t, options({ token: 'w'.repeat(40) }), {})
  const visitor = new Browser()
  assert.equal((await visitor.ask(url + '/visit')).status, 500)
})

import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import express from 'express'
import { requireSession, sessionVerifier, withSession } from 'session-api-store/middleware'
import { call, serve, services } from './service.mjs'

const url = services.default
const user = { id: 'größe,1', email: 'ada@example.org', roles: ['editor', 'a,b'] }

/** A session of the user, as the cookie and the bearer token that open it. */
async function signIn(more) {
  const { status, body } = await call({ url, namespace: 'default' }, 'POST', '', { body: { user: { ...user, ...more } } })
  assert.equal(status, 201, JSON.stringify(body))
  return { id: body.session.id, cookie: body.setCookie.split(';', 1)[0], authorization: `Bearer ${body.token}` }
}

let ada, adaWithOtp
before(async () => {
  ada = await signIn()
  adaWithOtp = await signIn({ auth: { time: new Date().toISOString(), methods: ['pwd', 'otp'], level: 'aal2' } })
})

/** Asks an app behind the middleware; `seen` is what its handler was told. */
async function ask(t, options, headers = {}) {
  let seen
  const app = express().use(requireSession({ url, ...options })).get('/', (req, res) => {
    seen = req.sessionApi
    res.cookie('own', '1').send('in')
  })
  app.set('env', 'test')
  app.use((error, req, res, next) => res.status(500).send(error.message))
  const server = await serve(t, app)
  const response = await fetch(server.url, { headers })
  return { response, text: await response.text(), seen }
}

/** More than the service tells a gateway. */
const someRoles = Array.from({ length: 64 }, (_, n) => `a-role-of-rather-many-characters-${n}`)

const renewed = ['a=1; Path=/; Expires=Sun, 22 Nov 2026 17:04:05 GMT', 'b=; Max-Age=0']

/** What the service answers when it renews or clears a cookie, which it does not do each time. */
const withCookies = (status) => async () => {
  const response = status === 200 ? new Response(null, { headers: { 'X-Session-Id': ada.id } }) : Response.json({ code: 'unauthorized' }, { status })
  for (const cookie of renewed) response.headers.append('Set-Cookie', cookie)
  return response
}

describe('requireSession', () => {
  test('lets a live session pass, and says whose it is', async (t) => {
    for (const headers of [{ cookie: ada.cookie }, { authorization: ada.authorization }]) {
      const { text, seen } = await ask(t, {}, { ...headers, 'X-Session-Id': 'mine', 'X-User-Id': 'eve' })
      assert.equal(text, 'in')
      assert.deepEqual(seen, { sessionId: ada.id, user, rolesIncomplete: false })
    }
    const { seen } = await ask(t, { roles: ['admin', 'a,b'], maxAuthAge: 60, level: 'aal1', method: ['otp', 'hwk'] }, adaWithOtp)
    const { time, ...auth } = seen.user.auth
    assert.deepEqual(auth, { level: 'aal2', methods: ['pwd', 'otp'] })
    assert.ok(Math.abs(Date.parse(time) - Date.now()) < 600_000)
  })

  test('a session without a user, and one whose roles do not fit', async (t) => {
    const response = await fetch(url + '/api/session', { method: 'POST' })
    const { id } = await response.json()
    const anonymous = { cookie: response.headers.getSetCookie()[0].split(';', 1)[0] }
    assert.deepEqual((await ask(t, {}, anonymous)).seen, { sessionId: id, user: null, rolesIncomplete: false })
    const { seen } = await ask(t, { roles: someRoles[63] }, await signIn({ roles: someRoles }))
    assert.deepEqual([seen.user.roles, seen.rolesIncomplete], [[], true])
  })

  test('refuses as the service does, with its challenge', async (t) => {
    for (const [options, headers, status, code, challenge] of [
      [{}, {}, 401, 'no_credential', /^Bearer realm=/],
      [{}, { authorization: ada.authorization + 'x' }, 401, 'unauthorized', /^Bearer realm=/],
      [{ roles: 'admin' }, ada, 403, 'role_required', null],
      [{ maxAuthAge: 900, level: 'aal3' }, adaWithOtp, 401, 'insufficient_user_authentication', /^Bearer error="insufficient_user_authentication", max_age="900", acr_values="aal3"$/],
      [{ method: 'hwk', optional: true }, adaWithOtp, 401, 'insufficient_user_authentication', /^Bearer error="insufficient_user_authentication"/],
    ]) {
      const { response, text, seen } = await ask(t, options, headers)
      assert.deepEqual([response.status, JSON.parse(text).code, seen], [status, code, undefined])
      assert.equal(response.headers.get('Content-Type'), 'application/problem+json')
      assert.equal(response.headers.get('Cache-Control'), 'no-store')
      if (challenge) assert.match(response.headers.get('WWW-Authenticate'), challenge)
    }
  })

  test('an optional one lets requests without a session pass, and no others', async (t) => {
    assert.equal((await ask(t, { optional: true })).seen, null)
    assert.equal((await ask(t, { optional: true }, { authorization: 'Bearer s:gone' })).seen, null)
    assert.equal((await ask(t, { optional: true }, ada)).seen.sessionId, ada.id)
    const { response } = await ask(t, { optional: true, roles: 'admin' }, ada)
    assert.equal(response.status, 403)
  })

  test('hands cookies on: the browser\'s lives as long as the session, and one of no session goes', async (t) => {
    for (const [options, status, cookies] of [
      [{ fetch: withCookies(200) }, 200, [...renewed, 'own=1; Path=/']],
      [{ fetch: withCookies(401), optional: true }, 200, [...renewed, 'own=1; Path=/']],
      [{ fetch: withCookies(401) }, 401, renewed],
      [{ fetch: withCookies(403) }, 403, renewed],
    ]) {
      const { response } = await ask(t, options, ada)
      assert.deepEqual([response.status, response.headers.getSetCookie()], [status, cookies])
    }
  })

  test('onRefused answers in its place, and its failure is the app\'s', async (t) => {
    const toSignIn = ({ status, code }, req, res) => res.redirect(303, `/sign-in?${status}&${code}&${req.path}`)
    const app = await serve(t, express().use(requireSession({ url, onRefused: toSignIn })))
    const response = await fetch(app.url + '/account', { redirect: 'manual' })
    assert.equal(response.headers.get('Location'), '/sign-in?401&no_credential&/account')
    for (const onRefused of [() => { throw new Error('of the app') }, async () => { throw new Error('of the app') }]) {
      const { response, text, seen } = await ask(t, { onRefused })
      assert.deepEqual([response.status, text, seen], [500, 'of the app', undefined])
    }
    assert.equal((await ask(t, { onRefused: (refusal, req, res, next) => next() })).seen, undefined, 'the app may let it pass')
  })

  test('of two, each counts', async (t) => {
    const app = express().use(requireSession({ url }), requireSession({ url, roles: 'admin' })).get('/', (req, res) => res.send('in'))
    const server = await serve(t, app)
    assert.equal((await fetch(server.url, { headers: ada })).status, 403)
  })
})

/** Answers of somebody else, or of nobody. */
const strangers = {
  'success of somebody else': () => new Response('welcome'),
  'success without content': () => new Response(null, { status: 204, headers: { 'X-Session-Id': 'x' } }),
  'a sign-in page': () => new Response(null, { status: 302, headers: { Location: '/sign-in', 'Set-Cookie': 'a=b' } }),
  'a 401 of somebody else': () => new Response('<html>', { status: 401, headers: { 'Set-Cookie': 'a=b', 'WWW-Authenticate': 'Basic' } }),
  'a 403 of somebody else': () => new Response('{}', { status: 403 }),
  'a missing page': () => Response.json({ code: 'not_found' }, { status: 404 }),
  'a failure': () => Response.json({ code: 'internal' }, { status: 500 }),
  'broken escapes': () => new Response(null, { headers: { 'X-Session-Id': 'x', 'X-User-Id': '%zz' } }),
  'a broken date': () => new Response(null, { headers: { 'X-Session-Id': 'x', 'X-User-Id': 'u', 'X-Auth-Time': 'today' } }),
  'no answer': () => Promise.reject(new TypeError('fetch failed')),
}
for (const [name, fetch] of Object.entries(strangers)) {
  test(`nobody passes by ${name}`, async () => {
    for (const optional of [false, true]) {
      const verify = sessionVerifier({ url, fetch: async () => fetch(), optional })
      const { passes, identity, refusal, setCookie } = await verify(new Headers({ Cookie: 'a=b' }))
      assert.deepEqual([passes, identity, refusal.status, setCookie], [false, null, 503, []])
      assert.match(refusal.code, /^(unexpected_answer|unreachable)$/)
      assert.deepEqual(Object.keys(refusal.headers).sort(), ['cache-control', 'content-type', 'retry-after'])
      assert.equal(JSON.parse(refusal.body).code, refusal.code)
    }
  })
}

test('nor by a service that does not answer in time, or cannot', async () => {
  const silence = (_, { signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  const keepAlive = setTimeout(() => {}, 60_000) // the deadline alone keeps no process alive
  const late = await sessionVerifier({ url, timeout: 20, fetch: silence, optional: true })(new Headers())
  clearTimeout(keepAlive)
  assert.deepEqual([late.passes, late.refusal.code], [false, 'timeout'])
  const busy = async () => Response.json({ code: 'not_ready' }, { status: 503, headers: { 'Retry-After': '3' } })
  const { passes, refusal } = await sessionVerifier({ url, fetch: busy, optional: true })(new Headers())
  assert.deepEqual([passes, refusal.status, refusal.code, refusal.headers['retry-after']], [false, 503, 'not_ready', '3'])
})

test('asks for the rule by GET, with the credentials and nothing else of the request', async () => {
  let asked
  const fetch = async (...request) => {
    asked = request
    return new Response()
  }
  const headers = { Cookie: 'a=b', Authorization: 'Bearer x', 'User-Agent': 'Firefox', 'X-Session-Id': 'mine', 'If-None-Match': '*' }
  const rule = { roles: ['a/b', 'c&d'], level: 'aal2', method: ['otp', 'hwk'], maxAuthAge: 900 }
  await sessionVerifier({ url: 'http://service.test/below', fetch, ...rule })(new Request('http://app.test/?role=admin', { method: 'POST', headers }))
  assert.equal(String(asked[0]), 'http://service.test/below/api/session/verify?role=a%2Fb&role=c%26d&level=aal2&method=otp&method=hwk&maxAuthAge=900')
  assert.equal(asked[1].method ?? 'GET', 'GET')
  assert.equal(asked[1].redirect, 'manual')
  assert.deepEqual([...new Headers(asked[1].headers)], [
    ['accept', 'application/problem+json'], ['authorization', 'Bearer x'], ['cookie', 'a=b'], ['user-agent', 'Firefox'],
  ])
})

test('a fetch-style handler behind the rule', async () => {
  const handler = withSession({ url, roles: 'editor' }, (request, identity, more) => Response.json([request.url, identity.user.id, more]))
  const request = (headers) => new Request('http://app.test/', { headers })
  assert.deepEqual(await (await handler(request({ Cookie: ada.cookie }), 'env')).json(), ['http://app.test/', user.id, 'env'])
  const refused = await handler(request())
  assert.deepEqual([refused.status, (await refused.json()).code], [401, 'no_credential'])
  assert.match(refused.headers.get('WWW-Authenticate'), /^Bearer realm=/)

  const onRefused = ({ code }) => Response.redirect('http://app.test/sign-in?' + code)
  const answer = await withSession({ url, onRefused, fetch: withCookies(401) }, () => assert.fail())(request())
  assert.equal(answer.headers.get('Location'), 'http://app.test/sign-in?unauthorized')
  assert.deepEqual(answer.headers.getSetCookie(), renewed)
  const alive = await withSession({ url, fetch: withCookies(200) }, () => new Response('in', { status: 202, headers: { 'X-Own': '1' } }))(request())
  assert.deepEqual([alive.status, alive.headers.get('X-Own'), await alive.text()], [202, '1', 'in'])
  assert.deepEqual(alive.headers.getSetCookie(), renewed)
  await assert.rejects(withSession({ url }, () => { throw new Error('of the app') })(request({ Cookie: ada.cookie })), /of the app/)
})

test('options are checked by name, and a list that is empty by mistake lets nobody pass', () => {
  for (const [options, message] of [
    [{ roles: [] }, /roles must be/],
    [{ roles: [''] }, /roles must be/],
    [{ level: null }, /level must be/],
    [{ method: [1] }, /method must be/],
    [{ maxAuthAge: 0 }, /maxAuthAge must be/],
    [{ maxAuthAge: 1.5 }, /maxAuthAge must be/],
    [{ maxAuthAge: '900' }, /maxAuthAge must be/],
    [{ optional: 'no' }, /optional must be/],
    [{ role: 'admin' }, /no option role: it is called roles/],
    [{ token: 'x' }, /no option token/],
    [{ levels: 'aal2' }, /no option levels; there are url, roles/],
    [{ url: 'http://user@service.test' }, /url must be/],
  ]) {
    for (const make of [requireSession, sessionVerifier, (options) => withSession(options, () => new Response())]) {
      assert.throws(() => make(options), (error) => error instanceof TypeError && message.test(error.message))
    }
  }
  assert.throws(() => sessionVerifier({ onRefused() {} }), /no option onRefused/)
})

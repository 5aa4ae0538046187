import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { describe, test } from 'node:test'
import session from 'express-session'
import { SessionApiError, SessionApiStore } from 'session-api-store/express'
import { call, options, promised, recorder, services, until } from './service.mjs'

const newId = () => randomBytes(24).toString('base64url') // as express-session makes them

/** A session as express-session hands it over, expiring in ms, or never by its cookie. */
function data(ms, more = {}) {
  const cookie = new session.Cookie({ secure: true, sameSite: 'lax' })
  if (ms !== undefined) cookie.maxAge = ms
  return { cookie, ...more }
}

/** Ids of other frameworks, and worse. */
const sids = [
  'koa:sess:6Jk2', `koa:sess:${'0'.repeat(36)}`, 'sess:' + randomUUID(), 'apple', '', 'a', 'A', 'x'.repeat(128), 'x'.repeat(129), 'y'.repeat(10_000),
  'with.a.dot.and.more', 'a/../b/../c/../d/', '..', '%2e%2e', 'ä', 'a\u0308', '🙂', '\ufffd', '\u0000', ' ', 'count', '__proto__', 'key?query#part',
  'sha256-', 'sha256-ypeBEsobvcr6wjGzmiPcTaeG7_gUfE5yuYB3ha_uSLs', randomUUID(), newId(),
]

const stored = (value) => JSON.parse(JSON.stringify(value))

for (const [name, url] of Object.entries(services)) {
  describe(`SessionApiStore on the ${name} service`, () => {
    const open = (more) => {
      const at = options({ url, ...more })
      const store = new SessionApiStore(at)
      return { at, store, ...promised(store) }
    }

    test('is a store of express-session', () => {
      const { store } = open()
      assert.ok(store instanceof session.Store)
      assert.equal(typeof store.regenerate, 'function')
      assert.doesNotThrow(() => store.on('disconnect', () => {}))
    })

    test('keeps a session as it is', async () => {
      const { get, set } = open()
      const sid = newId()
      const saved = data(60_000, { user: { name: 'Ada', roles: ['x'] }, n: 1.5, no: null, list: [null, {}], '': 'empty', text: 'ä\u0000\u2028🙂\\ud800' })
      await set(sid, saved)
      assert.deepEqual(await get(sid), stored(saved))
      await set(sid, data(60_000, { other: 1 }))
      assert.equal((await get(sid)).user, undefined, 'a save replaces')
      assert.equal((await get(sid)).other, 1)
    })

    test('takes UUIDs', async () => {
      const { get, set } = open()
      const sid = randomUUID()
      await set(sid, data(60_000, { n: 1 }))
      assert.equal((await get(sid)).n, 1)
    })

    test('takes ids of any kind, each its own', async () => {
      const { at, get, set, touch, destroy, all } = open()
      for (const [n, sid] of sids.entries()) await set(sid, data(60_000, { n }))
      for (const [n, sid] of sids.entries()) assert.equal((await get(sid)).n, n, sid.slice(0, 50))
      assert.deepEqual((await all()).map(({ id, n }) => [id, n]).sort(([, a], [, b]) => a - b), sids.map((sid, n) => [sid, n]))
      for (const [n, sid] of sids.entries()) {
        const session = await get(sid)
        session.cookie.expires = new Date(Date.now() + 120_000)
        await touch(sid, session)
        assert.deepEqual(Object.keys(await get(sid)).sort(), ['cookie', 'n'], 'the session alone comes back')
        assert.equal((await get(sid)).n, n)
      }
      await destroy(sids[0])
      assert.equal((await all()).length, sids.length - 1)
      for (const sid of sids) await destroy(sid)
      for (const sid of sids) assert.equal(await get(sid), null)
      assert.deepEqual((await call(at, 'GET', '')).body.sessions, [])
    })

    test('an id that can be one of the service stays as it is, others go by their digest', async () => {
      const { at, set } = open()
      const sid = newId()
      await set(sid, data(60_000, { n: 1 }))
      assert.deepEqual(Object.keys((await call(at, 'GET', '/' + sid)).body.meta), ['cookie', 'n'])
      await set('a', data(60_000, { n: 2 }))
      const id = 'sha256-ypeBEsobvcr6wjGzmiPcTaeG7_gUfE5yuYB3ha_uSLs' // printf a | openssl dgst -sha256 -binary | base64
      const { meta } = (await call(at, 'GET', '/' + id)).body
      assert.deepEqual([meta.n, meta['session-api:sid']], [2, 'a'])
    })

    test('refuses to save under what is no Unicode', async () => {
      const { get, set, touch, destroy } = open()
      await set('\ufffd', data(60_000, { n: 1 }))
      for (const sid of ['\ud800', 'koa:sess:\udfff', '🙂'.slice(0, 1)]) {
        await assert.rejects(set(sid, data()), (error) => error instanceof SessionApiError && error.code === 'invalid_id')
        assert.equal(await get(sid), null)
        await touch(sid, data())
        await destroy(sid)
      }
      assert.equal((await get('\ufffd')).n, 1)
    })

    test('knows nothing of what was never there', async () => {
      const { at, get, touch, destroy, length, all } = open()
      const sid = newId()
      assert.equal(await get(sid), null)
      await touch(sid, data(60_000))
      await destroy(sid)
      await destroy(sid)
      assert.equal(await get(sid), null)
      assert.equal(await length(), 0)
      assert.deepEqual(await all(), [])
      assert.equal((await call(at, 'GET', '/' + sid)).status, 404)
    })

    test('lists, counts and clears its own sessions alone', async () => {
      const one = open()
      const two = open()
      const sids = [newId(), newId(), newId()]
      for (const [n, sid] of sids.entries()) await one.set(sid, data(60_000, { n }))
      await two.set(sids[0], data(60_000, { n: 'two' }))
      assert.equal(await one.length(), 3)
      const all = await one.all()
      assert.deepEqual(new Map(all.map(({ id, n }) => [id, n])), new Map(sids.map((sid, n) => [sid, n])))
      await one.clear()
      assert.equal(await one.length(), 0)
      assert.equal(await one.get(sids[0]), null)
      assert.equal((await two.get(sids[0])).n, 'two')
    })

    test('lists more than a page', async () => {
      const { set, all, length } = open()
      const sids = Array.from({ length: 230 }, newId)
      await Promise.all(sids.map((sid) => set(sid, data(60_000))))
      assert.equal(await length(), 230)
      assert.deepEqual((await all()).map(({ id }) => id).sort(), sids.sort())
    })

    test('a destroyed session stays so, whoever saves it late', async () => {
      const { set, get, load, touch, destroy } = open()
      const sid = newId()
      const first = data(60_000, { n: 1 })
      await set(sid, first)
      const [inFlight, other] = [await load(sid), await load(sid)]
      await destroy(sid)
      inFlight.n = 2
      await set(sid, inFlight)
      await touch(sid, other)
      await set(sid, first)
      await set(sid, data(60_000, { n: 3 }))
      assert.equal(await get(sid), null)
    })

    test('saves that run while it is destroyed do not bring it back', async () => {
      const { set, get, load, destroy } = open()
      for (let round = 0; round < 10; round++) {
        const sid = newId()
        await set(sid, data(60_000, { n: 0 }))
        const inFlight = await Promise.all(Array.from({ length: 5 }, () => load(sid)))
        const saves = inFlight.map((each, n) => set(sid, Object.assign(each, { n })))
        await Promise.all([...saves, destroy(sid)])
        await Promise.all(inFlight.map((each) => set(sid, each)))
        assert.equal(await get(sid), null)
      }
    })

    test('an expired session stays so, even where nothing remembers that it was there', async () => {
      const { set, get, load } = open()
      const sid = newId()
      const first = data(400)
      await set(sid, first)
      const inFlight = await load(sid)
      await until(async () => !(await get(sid)))
      inFlight.cookie.maxAge = 60_000
      first.cookie.maxAge = 60_000
      await set(sid, inFlight)
      await set(sid, first)
      assert.equal(await get(sid), null)
    })

    test('lives as long as its cookie', async () => {
      const { at, set, touch, get } = open({ ttl: 1800 })
      const sid = newId()
      const life = async () => Date.parse((await call(at, 'GET', '/' + sid)).body.expiresAt) - Date.now()
      const about = (ms, wanted) => assert.ok(ms <= wanted && ms > wanted - 30_000, `${ms} is about ${wanted}`)
      await set(sid, data(3_600_000))
      about(await life(), 3_600_000)
      await set(sid, data(600_000))
      about(await life(), 600_000)
      await touch(sid, data(7_200_000))
      about(await life(), 7_200_000)
      await touch(sid, data())
      about(await life(), 1_800_000)
      await set(sid, data(10 * 365 * 86_400_000))
      about(await life(), 30 * 86_400_000)
      await set(sid, data(-1))
      assert.equal(await get(sid), null, 'saved with a cookie of the past')
    })

    test('ttl may be a function of the session, which comes before its cookie', async () => {
      const { at, set, touch, get } = open({ ttl: ({ kind }) => ({ short: 60, none: 0, past: -5, broken: NaN, text: '60', long: 1e9 })[kind] })
      const life = async (sid) => Date.parse((await call(at, 'GET', '/' + sid)).body.expiresAt) - Date.now()
      const about = (ms, wanted) => assert.ok(ms <= wanted && ms > wanted - 30_000, `${ms} is about ${wanted}`)
      const sid = newId()
      await set(sid, data(3_600_000, { kind: 'short' }))
      about(await life(sid), 60_000)
      await set(sid, data(undefined, { kind: 'long' }))
      about(await life(sid), 30 * 86_400_000)
      await touch(sid, data(3_600_000, { kind: 'short' }))
      about(await life(sid), 60_000)
      for (const kind of ['broken', 'text', 'unknown']) {
        await assert.rejects(set(sid, data(60_000, { kind })), { name: 'TypeError', message: /ttl must be a function that answers a number/ })
      }
      for (const kind of ['none', 'past']) {
        const ended = newId()
        await set(ended, data(60_000, { kind: 'short' }))
        await set(ended, data(60_000, { kind }))
        assert.equal(await get(ended), null)
      }
    })

    test('with disableTouch only a save prolongs', async () => {
      const { fetch, requests } = recorder()
      const { set, touch } = open({ fetch, disableTouch: true })
      const sid = newId()
      await set(sid, data(60_000))
      await touch(sid, data(120_000))
      assert.deepEqual(requests.map(({ method }) => method), ['PUT'])
      const eager = open({ fetch, disableTouch: false })
      requests.length = 0
      await eager.touch(sid, data(120_000))
      assert.deepEqual(requests.map(({ method }) => method), ['PATCH'])
    })

    test('a touch that comes late ends what its cookie says has ended', async () => {
      const { set, touch, get } = open()
      const sid = newId()
      await set(sid, data(60_000))
      await touch(sid, data(-1))
      assert.equal(await get(sid), null)
    })

    test('touch is one PATCH, and leaves alone what others have saved', async () => {
      const { fetch, requests } = recorder()
      const { set, get, load, touch } = open({ fetch })
      const sid = newId()
      await set(sid, data(60_000, { n: 1 }))
      const idle = await load(sid)
      await set(sid, data(60_000, { n: 2 }))
      requests.length = 0
      idle.cookie.maxAge = 120_000
      await touch(sid, idle)
      assert.deepEqual(requests.map(({ method, status }) => [method, status]), [['PATCH', 200]])
      const { meta, ttlMs } = requests[0].body
      assert.deepEqual(Object.keys(meta), ['cookie'])
      assert.equal(meta.cookie.expires, idle.cookie.expires.toISOString())
      assert.ok(ttlMs > 110_000 && ttlMs <= 120_000)
      const now = await get(sid)
      assert.equal(now.n, 2)
      assert.equal(now.cookie.expires, idle.cookie.expires.toISOString())
      assert.equal(now.cookie.originalMaxAge, idle.cookie.originalMaxAge)
    })

    test('touch turns a lasting cookie into one of the browser session', async () => {
      const { set, get, load, touch } = open()
      const sid = newId()
      await set(sid, data(60_000))
      const idle = await load(sid)
      idle.cookie.maxAge = null
      await touch(sid, idle)
      const { cookie } = await get(sid)
      assert.equal(cookie.expires, null)
      assert.equal(cookie.originalMaxAge, null)
      assert.equal((await load(sid)).cookie.maxAge, null)
    })

    test('new sessions and loaded ones are saved in one request each', async () => {
      const { fetch, requests } = recorder()
      const { set, load } = open({ fetch })
      const sid = newId()
      const fresh = data(60_000)
      await set(sid, fresh)
      await set(sid, fresh)
      const loaded = await load(sid)
      await set(sid, loaded)
      assert.deepEqual(requests.map(({ method, status }) => [method, status]), [['PUT', 201], ['PUT', 200], ['GET', 200], ['PUT', 200]])
    })

    test('frameworks that make objects of their own save what they read in one request, and revive nothing', async () => {
      const { fetch, requests } = recorder()
      const { store } = open({ fetch })
      const asked = () => requests.splice(0).map(({ method, status }) => [method, status])
      for (const sid of [newId(), 'koa:sess:' + newId()]) {
        await store.set(sid, { n: 1 }, 60_000)
        const copy = { ...(await store.get(sid)), n: 2 }
        assert.deepEqual(copy, { n: 2 }, 'no cookie where none was saved')
        await store.set(sid, copy, 60_000)
        assert.deepEqual(asked(), [['PUT', 201], ['GET', 200], ['PUT', 200]])
        const late = { ...(await store.get(sid)), n: 3 }
        const later = { ...late }
        await store.destroy(sid)
        await store.set(sid, late, 60_000)
        await store.set(sid, later, 60_000)
        assert.equal(await store.get(sid), null)
        asked()
      }
    })

    test('a write that is answered 404 is an error where the session need not be there', async () => {
      const fetch = async () => Response.json({ code: 'session_not_found', detail: 'as if the id were wrong' }, { status: 404 })
      const { set } = open({ fetch })
      await assert.rejects(set(newId(), data(60_000)), { code: 'session_not_found', httpStatus: 404 })
    })

    test('a session that ended while it was used is gone, whether the answer is 404 or 410', async () => {
      for (const [status, code] of [[404, 'session_not_found'], [410, 'session_ended']]) {
        const ended = async (url, init) => (init.method === 'GET' ? fetch(url, init) : Response.json({ code, detail: 'it is gone' }, { status }))
        const at = options({ url })
        const sid = newId()
        await promised(new SessionApiStore(at)).set(sid, data(60_000))
        const { load, set, touch, destroy } = promised(new SessionApiStore({ ...at, fetch: ended }))
        const loaded = await load(sid)
        await set(sid, loaded)
        await touch(sid, loaded)
        await destroy(sid)
      }
    })

    test('leaves the sections of others alone', async () => {
      const { at, set, load } = open()
      const sid = newId()
      await set(sid, data(60_000, { n: 1 }))
      await call(at, 'PATCH', '/' + sid, { body: { user: { id: 'u-1' }, results: { done: true } }, headers: { 'If-Match': '*' } })
      const loaded = await load(sid)
      loaded.n = 2
      await set(sid, loaded)
      const { body } = await call(at, 'GET', '/' + sid)
      assert.deepEqual([body.user.id, body.results, body.meta.n], ['u-1', { done: true }, 2])
    })

    test('tells whose session it is, if asked to', async () => {
      const { at, set, load, get } = open({ user: ({ login }) => login && { id: login, roles: ['editor'] } })
      const sids = [newId(), newId(), newId()]
      for (const sid of sids) await set(sid, data(60_000, { login: 'ada' }))
      const out = await load(sids[2])
      delete out.login
      await set(sids[2], out)
      const { body } = await call(at, 'GET', '', { query: { userId: 'ada' } })
      assert.deepEqual(body.sessions.map(({ id }) => id).sort(), sids.slice(0, 2).sort())
      assert.deepEqual(body.sessions[0].user, { id: 'ada', email: '', roles: ['editor'] })
      assert.deepEqual((await call(at, 'DELETE', '', { query: { userId: 'ada' } })).body, { deleted: 2 })
      assert.equal(await get(sids[0]), null)
      assert.notEqual(await get(sids[2]), null)
    })

    test('reads a session that another service made', async () => {
      const { at, load } = open()
      const { body } = await call(at, 'POST', '', { body: { meta: { cart: ['book'] } } })
      const loaded = await load(body.session.id)
      assert.deepEqual(loaded.cart, ['book'])
      assert.equal(loaded.cookie.maxAge, null)
    })

    test('text that is no Unicode is mended, names that are refused are an error', async () => {
      const { set, get } = open()
      const sid = newId()
      await set(sid, data(60_000, { 'k\ud800': ['a\udfffb', '\\udfff', '\\\ud800', '🙂'] }))
      assert.deepEqual((await get(sid))['k\ufffd'], ['a\ufffdb', '\\udfff', '\\\ufffd', '🙂'])
      await assert.rejects(set(sid, data(60_000, { form: { constructor: 1 } })), (error) => {
        assert.ok(error instanceof SessionApiError)
        assert.deepEqual([error.code, error.httpStatus, error.errors[0].pointer], ['validation_failed', 422, '/meta/form/constructor'])
        return error.requestId !== ''
      })
    })

    test('a session that JSON cannot hold is an error of the callback', async () => {
      const { set } = open()
      await assert.rejects(set(newId(), data(60_000, { big: 1n })), TypeError)
      await assert.rejects(set(newId(), data(60_000, { big: 'x'.repeat(2 << 20) })), { code: 'too_large' })
    })

    test('works without callbacks', async () => {
      const { store, set, get } = open()
      const sid = newId()
      store.set(sid, data(60_000))
      await until(() => get(sid))
      store.touch(sid, data(60_000))
      store.destroy(sid)
      await until(async () => !(await get(sid)))
      await set(newId(), data(60_000))
      store.clear()
      await until(async () => (await promised(store).length()) === 0)
    })
  })
}

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { SessionApiError, SessionApiStore } from 'session-api-store/express'
import sessionApiDriver, { SessionApiError as TheSame } from 'session-api-store/unstorage'
import { call, options, promised, serve, services, token } from './service.js'

/** What both of them throw there, after a look for the token. */
async function failures(more) {
  const at = options(more)
  const driver = sessionApiDriver(at)
  const id = randomUUID()
  const store = promised(new SessionApiStore(at))
  const errors = []
  for (const attempt of [() => store.get(id), () => store.set(id, { cookie: {} }), () => store.destroy(id), () => driver.getItem(id), () => driver.setItem(id, 'x'), () => driver.getKeys()]) {
    await assert.rejects(attempt, (error) => {
      assert.ok(error instanceof SessionApiError)
      errors.push(error)
      return true
    })
  }
  for (const thing of [...errors, driver, new SessionApiStore(at)]) {
    const shown = inspect(thing, { depth: 10, showHidden: true, getters: true }) + JSON.stringify(thing) + thing.stack
    assert.ok(!shown.includes(more?.token ?? token), 'the token shows')
  }
  return errors
}

test('one class of errors', () => assert.equal(SessionApiError, TheSame))

test('a wrong service token', async () => {
  for (const error of await failures({ token: 'w'.repeat(40) })) {
    assert.deepEqual([error.code, error.httpStatus, error.status], ['unauthorized', 401, undefined])
  }
  assert.equal((await failures({ token: undefined, fetch }))[0].code, 'unauthorized')
})

test('a service that is not there', async (t) => {
  const { url, stop } = await serve(t, () => {})
  await stop()
  for (const error of await failures({ url })) {
    assert.deepEqual([error.code, error.httpStatus], ['unreachable', 0])
    assert.match(error.message, /ECONNREFUSED/)
  }
})

test('a service that does not answer, or stops half-way', async (t) => {
  const silent = await serve(t, () => {})
  for (const error of await failures({ url: silent.url, timeout: 50 })) assert.equal(error.code, 'timeout')
  const stuck = await serve(t, (_, response) => response.writeHead(200).write('{'))
  for (const error of await failures({ url: stuck.url, timeout: 50 })) assert.equal(error.code, 'timeout')
})

test('something else than session-api', async (t) => {
  for (const [status, body] of [[200, '<html>'], [404, 'Not found'], [404, '{"code":"not_found"}'], [502, '<html>'], [302, '']]) {
    let asked = 0
    const { url } = await serve(t, (_, response) => {
      asked++
      response.writeHead(status, { Location: services.default }).end(body)
    })
    for (const error of await failures({ url })) {
      assert.equal(error.code, body.startsWith('{') ? 'not_found' : 'unexpected_answer')
      assert.equal(error.httpStatus, status)
    }
    assert.equal(asked, 6, 'nothing is tried twice, and no redirect followed')
  }
})

test('a store that is down is not retried here', async (t) => {
  let asked = 0
  const problem = { code: 'store_unavailable', detail: 'later' }
  const { url } = await serve(t, (_, response) => {
    asked++
    response.writeHead(503, { 'Retry-After': '1' }).end(JSON.stringify(problem))
  })
  for (const error of await failures({ url })) assert.deepEqual([error.code, error.httpStatus], ['store_unavailable', 503])
  assert.equal(asked, 6)
})

test('a fetch that fails with the headers in its message', async () => {
  const fetch = async (_, { headers }) => {
    throw new Error('failed with ' + headers.get('Authorization'), { cause: headers })
  }
  for (const error of await failures({ fetch })) assert.equal(error.code, 'unreachable')
})

test('options that make no sense', () => {
  const secret = 'never-to-be-seen-in-an-error'
  for (const wrong of [
    { url: 'nowhere' }, { url: 'ftp://127.0.0.1' }, { url: `http://user:${secret}@127.0.0.1` }, { url: `http://127.0.0.1/?t=${secret}` },
    { token: secret + '\n' }, { token: secret + 'ä' }, { namespace: 'Shop' }, { namespace: '' }, { namespace: 'x'.repeat(33) },
  ]) {
    for (const make of [() => new SessionApiStore(wrong), () => sessionApiDriver(wrong)]) {
      assert.throws(make, (error) => error instanceof TypeError && !inspect(error).includes(secret), JSON.stringify(wrong))
    }
  }
  assert.doesNotThrow(() => new SessionApiStore())
  assert.doesNotThrow(() => sessionApiDriver({ url: undefined, token: undefined, namespace: undefined, timeout: undefined }))
})

test('a service below a path', async (t) => {
  const { url } = await serve(t, async (request, response) => {
    assert.match(request.url, /^\/sessions\/api\/sessions\//)
    const answer = await fetch(services.default + request.url.slice('/sessions'.length), { headers: { Authorization: request.headers.authorization } })
    response.writeHead(answer.status).end(await answer.text())
  })
  const at = options()
  const id = randomUUID()
  await call(at, 'PUT', '/' + id, { body: { meta: { n: 1 } } })
  for (const base of [url + '/sessions', url + '/sessions/']) {
    assert.equal((await promised(new SessionApiStore({ ...at, url: base })).get(id)).n, 1)
  }
})

test('what a callback throws is its own, and does not call it again', () => {
  const script = `
    import { SessionApiStore } from 'session-api-store/express'
    process.once('uncaughtException', (error) => console.log('uncaught', error.message))
    let calls = 0
    new SessionApiStore().get('x', () => { calls++; throw new Error('of call ' + calls) })`
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
  assert.equal(stdout, 'uncaught of call 1\n', stderr)
})

test('CommonJS can require both', () => {
  const script = `
    const { SessionApiStore } = require('session-api-store/express')
    const { default: driver } = require('session-api-store/unstorage')
    console.log(new SessionApiStore() instanceof require('express-session').Store, driver().name)`
  const { stdout, stderr } = spawnSync(process.execPath, ['--no-warnings', '--input-type=commonjs', '-e', script], { encoding: 'utf8' })
  assert.equal(stdout, 'true session-api\n', stderr)
})

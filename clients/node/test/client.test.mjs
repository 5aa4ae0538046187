import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { SessionApiError, SessionApiStore } from 'session-api-store/express'
import sessionApiDriver, { SessionApiError as TheSame } from 'session-api-store/unstorage'
import { call, options, promised, serve, services, token } from './service.mjs'

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
    assert.ok(!shown.includes(more?.token || token), 'the token shows')
  }
  return errors
}

test('one class of errors', () => assert.equal(SessionApiError, TheSame))

test('a wrong service token', async () => {
  for (const error of await failures({ token: 'w'.repeat(40) })) {
    assert.deepEqual([error.code, error.httpStatus, error.status], ['unauthorized', 401, undefined])
  }
  for (const { code, httpStatus } of await failures({ token: '' })) {
    assert.match(code, /^(unauthorized|no_credential)$/)
    assert.equal(httpStatus, 401)
  }
  await assert.rejects(sessionApiDriver(options({ token: 'w'.repeat(40) })).hasItem(randomUUID()), { code: 'unauthorized' })
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

/** A fetch whose requests all arrive, and whose answers do not, but each third one. */
function losing() {
  const sent = []
  return {
    sent,
    fetch: async (url, init) => {
      const response = await fetch(url, init)
      sent.push([init.method, new Headers(init.headers).get('Idempotency-Key')])
      if (sent.length % 3 === 0) return response
      await response.arrayBuffer()
      if (sent.length % 3 === 1) throw new TypeError('fetch failed')
      return new Response(new ReadableStream({ start: (stream) => stream.error(new TypeError('terminated')) }), response)
    },
  }
}

test('with retries, lost answers are asked for again, and nothing is done twice', async () => {
  const { sent, fetch } = losing()
  const at = options({ retries: 2, fetch })
  const store = promised(new SessionApiStore(at))
  const id = randomUUID()
  await store.set(id, { cookie: {}, n: 1 })
  assert.equal((await call(at, 'GET', '/' + id)).body.revision, 1, 'it was created once, and not changed by the repeats')
  assert.equal((await store.get(id)).n, 1)
  await store.destroy(id)
  assert.equal(await store.get(id), null)
  const keys = sent.map(([, key]) => key)
  assert.match(keys[0], /^"[0-9a-f-]{36}"$/)
  assert.equal(new Set(keys.slice(0, 3)).size, 1)
  assert.ok(sent.every(([method, key]) => (method === 'PUT') === (key !== null)))
  assert.equal(sent.length % 3, 0)
})

test('a repeat does not overwrite what somebody else has saved meanwhile', async () => {
  const at = options({ retries: 1 })
  const id = randomUUID()
  let lost
  const late = async (url, init) => {
    const response = await fetch(url, init)
    if (lost) return response
    lost = true
    await call(at, 'PATCH', '/' + id, { body: { meta: { n: 2 } }, headers: { 'Content-Type': 'application/merge-patch+json' } })
    throw new TypeError('fetch failed')
  }
  await promised(new SessionApiStore({ ...at, fetch: late })).set(id, { cookie: {}, n: 1 })
  assert.equal((await promised(new SessionApiStore(at)).get(id)).n, 2)
})

test('a store that is down is asked as often as the option says, and no longer than its time', async (t) => {
  let asked = 0
  const { url } = await serve(t, (_, response) => {
    asked++
    response.writeHead(503, { 'Retry-After': '0' }).end('{"code":"store_unavailable","detail":"later"}')
  })
  await assert.rejects(sessionApiDriver(options({ url, retries: 3 })).getItem('a'), { code: 'store_unavailable' })
  assert.equal(asked, 4)
  const patient = await serve(t, (_, response) => response.writeHead(503, { 'Retry-After': '3600' }).end('{"code":"store_unavailable","detail":"later"}'))
  await assert.rejects(sessionApiDriver(options({ url: patient.url, retries: 3, timeout: 100 })).getItem('a'), { code: 'store_unavailable' })
  for (const retries of [-1, 1.5, NaN, '1', null]) assert.throws(() => sessionApiDriver({ retries }), /retries must be a whole number/)
})

test('a fetch that fails with the headers in its message', async () => {
  const fetch = async (_, { headers }) => {
    throw new Error('failed with ' + headers.get('Authorization'), { cause: headers })
  }
  for (const error of await failures({ fetch })) assert.equal(error.code, 'unreachable')
})

/** What makes an adapter with options, and the name of the option that it complains of. */
const makers = { express: (options) => new SessionApiStore(options), unstorage: (options) => sessionApiDriver(options) }

test('options that make no sense are refused at once, by name', () => {
  const secret = 'never-to-be-seen-in-an-error'
  const wrong = [
    { url: 'nowhere' }, { url: 'ftp://127.0.0.1' }, { url: `http://user:${secret}@127.0.0.1` }, { url: `http://127.0.0.1/?t=${secret}` }, { url: 8080 },
    { token: secret + '\n' }, { token: secret + 'ä' }, { token: 5 }, { token: null },
    { namespace: 'Shop' }, { namespace: '' }, { namespace: 'x'.repeat(33) }, { namespace: ['shop'] },
    { fetch: 'node-fetch' },
  ]
  for (const name of ['ttl', 'maxTtl', 'timeout']) {
    for (const value of [0, -0, -1, NaN, Infinity, -Infinity, '3600', null, true, {}, 5n]) wrong.push({ [name]: value })
  }
  wrong.push({ timeout: 2 ** 31 })
  for (const options of wrong) {
    const [name] = Object.keys(options)
    for (const make of Object.values(makers)) {
      const named = (error) => error instanceof TypeError && error.message.startsWith(`session-api: ${name} must be `) && !inspect(error).includes(secret)
      assert.throws(() => make(options), named, inspect(options))
    }
  }
  for (const options of [{ user: 'ada' }, { disableTouch: 1 }]) assert.throws(() => makers.express(options), new RegExp(`${Object.keys(options)[0]} must be`))
  for (const options of [{ revive: 'no' }, { ttl: () => 60 }]) assert.throws(() => makers.unstorage(options), new RegExp(`${Object.keys(options)[0]} must be`))
  for (const make of Object.values(makers)) {
    for (const options of [null, 'http://127.0.0.1', 5]) assert.throws(() => make(options), TypeError)
    assert.doesNotThrow(() => make())
    assert.doesNotThrow(() => make({ url: undefined, token: undefined, namespace: undefined, timeout: undefined, ttl: undefined, prefix: undefined }))
    assert.doesNotThrow(() => make({ ttl: 0.5, maxTtl: 1e9, timeout: 2 ** 31 - 1 }))
  }
})

test('options of other stores are refused with what to do, and misspelt ones by name', () => {
  const foreign = { express: ['client', 'prefix', 'disableTTL', 'serializer', 'scanCount'], unstorage: ['base', 'prefix', 'host', 'port', 'password'] }
  for (const [kind, make] of Object.entries(makers)) {
    for (const name of foreign[kind]) {
      assert.throws(() => make({ [name]: 'x' }), { name: 'TypeError', message: new RegExp(`^session-api: there is no option ${name}: .{5}`) })
      assert.doesNotThrow(() => make({ [name]: false }), 'that asks for nothing')
    }
    for (const name of ['namepsace', 'toString', 'hasOwnProperty', 'TTL']) {
      assert.throws(() => make({ [name]: 'x' }), { name: 'TypeError', message: new RegExp(`no option ${name}; there are url, token, namespace, .*ttl`) })
    }
  }
})

test('a long timeout does not end at once', async () => {
  assert.equal(await sessionApiDriver(options({ timeout: 2 ** 31 - 1 })).getItem('a'), null)
  assert.equal(await sessionApiDriver(options({ timeout: 4999.5 })).getItem('a'), null)
})

/** Runs a script in a process of its own, as ES module or CommonJS, with these variables only. */
function run(script, { type = 'module', variables = {} } = {}) {
  const { SESSION_API_URL, SESSION_API_TOKEN, ...env } = process.env
  const { stdout, stderr } = spawnSync(process.execPath, ['--no-warnings', `--input-type=${type}`, '-e', script], { encoding: 'utf8', env: { ...env, ...variables } })
  return stdout + stderr
}

test('address and token come from the process, if no option says them', async (t) => {
  const seen = []
  const { url } = await serve(t, (request, response) => {
    seen.push(request.headers.authorization)
    response.writeHead(404, { 'Content-Type': 'application/problem+json' }).end('{"code":"session_not_found"}')
  })
  const script = (options) => `
    import { SessionApiStore } from 'session-api-store/express'
    import sessionApiDriver from 'session-api-store/unstorage'
    const options = ${JSON.stringify(options)}
    try {
      const driver = sessionApiDriver(options)
      console.log(await driver.getItem('a'), await new SessionApiStore(options).get('a'), JSON.stringify(driver).includes('of-the-process'))
    } catch (error) {
      console.log(error.message)
    }`
  const ask = (options, variables) => new Promise((resolve) => {
    const { SESSION_API_URL, SESSION_API_TOKEN, ...env } = process.env
    execFile(process.execPath, ['--input-type=module', '-e', script(options)], { env: { ...env, ...variables } }, (_, stdout) => resolve(stdout))
  })
  const variables = { SESSION_API_URL: url, SESSION_API_TOKEN: 'of-the-process' }
  assert.equal(await ask({}, variables), 'null null false\n')
  assert.equal(await ask({ url, token: 'of-the-option' }, { ...variables, SESSION_API_URL: 'http://127.0.0.1:1' }), 'null null false\n')
  assert.equal(await ask({ url }, { SESSION_API_TOKEN: '' }), 'null null false\n')
  assert.deepEqual(seen, ['Bearer of-the-process', 'Bearer of-the-process', 'Bearer of-the-option', 'Bearer of-the-option', undefined, undefined])
  assert.match(await ask({}, { SESSION_API_URL: 'nowhere' }), /SESSION_API_URL must be an http or https URL/)
  assert.match(await ask({}, { SESSION_API_TOKEN: 'two\nlines' }), /SESSION_API_TOKEN must be .* visible ASCII/)
  assert.match(await ask({}, {}), /unreachable|cannot be reached|unauthorized|null/, 'without any, it is the default address')
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
  const printed = run(`
    import { SessionApiStore } from 'session-api-store/express'
    process.once('uncaughtException', (error) => console.log('uncaught', error.message))
    let calls = 0
    new SessionApiStore({ url: 'http://127.0.0.1:1' }).get('x', () => { calls++; throw new Error('of call ' + calls) })`)
  assert.equal(printed, 'uncaught of call 1\n')
})

test('a failure that nobody waits for ends no process, and one that somebody waits for is told', () => {
  const printed = run(`
    import { SessionApiStore } from 'session-api-store/express'
    const store = new SessionApiStore({ url: 'http://127.0.0.1:1' })
    store.destroy('left-alone', undefined)
    await store.get('x').catch((error) => console.log(error.code))`)
  assert.equal(printed, 'unreachable\n')
})

test('CommonJS and ES modules get the very same', () => {
  const printed = run(`
    const { SessionApiStore, SessionApiError } = require('session-api-store/express')
    const { default: driver } = require('session-api-store/unstorage')
    console.log(new SessionApiStore() instanceof require('express-session').Store, driver().name)
    import('session-api-store/express').then((module) => console.log(module.default === SessionApiStore, module.SessionApiError === SessionApiError))
    import('session-api-store/unstorage').then((module) => console.log(module.default === driver))`, { type: 'commonjs' })
  assert.equal(printed, 'true session-api\ntrue true\ntrue\n')
})

// What docs/frontends.md says of browsers, tried in Chromium. The environment
// names services by their cookie settings, and PAGE, a server of pages that all
// of them have on their list of origins, by the names localhost and 127.0.0.1:
// to a browser these are two sites.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from './browser.js'

const { LAX, STRICT, UNPARTITIONED, PARTITIONED, PAGE } = process.env
const ELSEWHERE = PAGE.replace('localhost', '127.0.0.1')

/** Runs in a page: one request, and what came of it. */
async function call([api, method, path = '', body, headers = {}]) {
  const response = await fetch(`${api}/api/session${path}`, {
    method,
    credentials: 'include',
    headers: body === undefined ? headers : { 'Content-Type': 'application/json', ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  })
  const text = await response.text()
  const answer = text ? JSON.parse(text) : {}
  return { status: response.status, code: answer.code, id: answer.id, meta: answer.meta, text }
}

async function pageAt(browser, address) {
  const page = await browser.newPage()
  await page.goto(address)
  return page
}

test('localhost and 127.0.0.1 are two sites, and the second request shows it', async (t) => {
  const browser = await open(t)
  const elsewhere = await pageAt(browser, ELSEWHERE)
  assert.equal((await elsewhere.evaluate(call, [LAX, 'POST'])).status, 201)
  assert.deepEqual(pick(await elsewhere.evaluate(call, [LAX, 'GET'])), { status: 401, code: 'no_credential' })

  const page = await pageAt(browser, PAGE)
  assert.equal((await page.evaluate(call, [LAX, 'POST'])).status, 201)
  assert.equal((await page.evaluate(call, [LAX, 'GET'])).status, 200)
})

const pick = ({ status, code }) => ({ status, code })

/** The session of a frame of PAGE in a page of another site: created, then read. */
async function inFrame(page, api) {
  await page.goto(ELSEWHERE)
  const handle = await page.evaluateHandle((src) => {
    const frame = document.createElement('iframe')
    frame.src = src
    document.body.append(frame)
    return new Promise((loaded) => frame.addEventListener('load', () => loaded(frame)))
  }, PAGE)
  const frame = await handle.contentFrame()
  assert.equal((await frame.evaluate(call, [api, 'POST'])).status, 201)
  return (await frame.evaluate(call, [api, 'GET'])).status
}

test('a frame in a page of another site', async (t) => {
  // A browser that blocks third-party cookies.
  const page = await (await open(t, { args: ['--test-third-party-cookie-phaseout'] })).newPage()
  assert.equal(await inFrame(page, LAX), 401, 'SameSite=Lax')
  assert.equal(await inFrame(page, UNPARTITIONED), 401, 'SameSite=None')
  assert.equal(await inFrame(page, PARTITIONED), 200, 'SameSite=None; Partitioned')
  await page.goto(PAGE)
  assert.equal((await page.evaluate(call, [PARTITIONED, 'GET'])).status, 401, 'outside of the frame it is another session')
})

test('what comes from another site brings no strict cookie, and a POST no lax one', async (t) => {
  const browser = await open(t)
  for (const [api, followed, posted] of [[LAX, true, false], [STRICT, false, false], [UNPARTITIONED, true, true]]) {
    await browser.clearCookies()
    const page = await pageAt(browser, PAGE)
    assert.equal((await page.evaluate(call, [api, 'POST'])).status, 201)
    const arrive = async (method) => {
      await page.goto(ELSEWHERE)
      await Promise.all([
        page.waitForURL(`${PAGE}/callback**`),
        page.evaluate(([method, action]) => {
          const form = Object.assign(document.createElement('form'), { method, action })
          document.body.append(form)
          form.submit()
        }, [method, `${PAGE}/callback`]),
      ])
      return (await page.locator('#cookies').innerText()).includes('validator_session_id')
    }
    assert.equal(await arrive('GET'), followed)
    assert.equal((await page.evaluate(call, [api, 'GET'])).status, 200, 'what the page itself asks brings it')
    assert.equal(await arrive('POST'), posted)
    assert.equal((await page.evaluate(call, [api, 'GET'])).status, 200)
  }
})

test('a beacon at unload is a JSON Blob to /operations', async (t) => {
  const page = await pageAt(await open(t), PAGE)
  const { id } = await page.evaluate(call, [LAX, 'POST', '', { meta: { left: [] } }])
  await page.evaluate((url) => {
    addEventListener('pagehide', () => {
      const operations = [{ op: 'add', path: '/meta/left/-', value: 'here' }]
      navigator.sendBeacon(url, JSON.stringify(operations)) // text/plain: 415
      navigator.sendBeacon(url, new Blob([JSON.stringify(operations)], { type: 'application/json' }))
    })
  }, `${LAX}/api/session/operations`)
  await page.goto(`${PAGE}/next`)
  let now
  for (;;) { // the beacon travels by itself; the test's timeout bounds this
    now = await page.evaluate(call, [LAX, 'GET'])
    if (now.meta.left.length > 0) break
  }
  assert.deepEqual(now.meta, { left: ['here'] })
  assert.equal(now.id, id)

  const sent = await page.evaluate((url) => navigator.sendBeacon(url, new Blob(['x'.repeat(66_000)])), LAX)
  assert.equal(sent, false, 'more than 64 KiB are not sent')
})

test('one promise for all that need the session', async (t) => {
  const browser = await open(t)
  const page = await pageAt(browser, PAGE)
  const ids = await page.evaluate(async (api) => {
    let session
    const load = () =>
      (session ??= fetch(`${api}/api/session`, {
        method: 'POST',
        credentials: 'include',
        headers: { 'If-None-Match': '*' },
      }).then((response) => response.json()))
    return (await Promise.all(Array.from({ length: 8 }, load))).map(({ id }) => id)
  }, LAX)
  assert.equal(new Set(ids).size, 1)
  // Two tabs, one after the other, have one session as well.
  const again = await (await pageAt(browser, PAGE)).evaluate(call, [LAX, 'POST', '', undefined, { 'If-None-Match': '*' }])
  assert.equal(again.id, ids[0])
})

test('a page that comes back has what it had; a cache of scripts keeps what it is given', async (t) => {
  const browser = await open(t, { ignoreDefaultArgs: ['--disable-back-forward-cache'] })
  const page = await pageAt(browser, PAGE)
  await page.evaluate(call, [LAX, 'POST'])
  await page.evaluate(async (url) => {
    const cache = await caches.open('a service worker’s')
    await cache.put(url, await fetch(url, { credentials: 'include' }))
    await fetch(url, { method: 'DELETE', credentials: 'include' })
  }, `${LAX}/api/session`)
  assert.equal((await page.evaluate(call, [LAX, 'GET'])).status, 401)
  assert.equal(await page.evaluate(async (url) => (await caches.match(url)).status, `${LAX}/api/session`), 200)
  await page.evaluate(() => {
    globalThis.before = 'signed in'
    addEventListener('pageshow', (event) => (globalThis.persisted = event.persisted))
  })
  await page.goto(`${PAGE}/next`)
  await page.goBack({ waitUntil: 'commit' })
  await page.waitForFunction('globalThis.persisted')
  assert.equal(await page.evaluate('before'), 'signed in')
})

test('digits beyond 2^53', async (t) => {
  const page = await pageAt(await open(t), PAGE)
  await page.evaluate(call, [LAX, 'POST'])
  const [lost, kept, sent] = await page.evaluate(async (api) => {
    const ask = (method, body) =>
      fetch(`${api}/api/session`, { method, body, credentials: 'include', headers: { 'Content-Type': 'application/json' } })
    await ask('PUT', `{"meta":{"big":${JSON.stringify(JSON.rawJSON('12345678901234567890'))}}}`)
    const text = await (await ask('GET')).text()
    const exact = (_, value, { source }) =>
      Number.isInteger(value) && !Number.isSafeInteger(value) ? BigInt(source) : value
    return [String(JSON.parse(text).meta.big), String(JSON.parse(text, exact).meta.big), text]
  }, LAX)
  assert.equal(lost, '12345678901234567000')
  assert.equal(kept, '12345678901234567890')
  assert.match(sent, /"big":12345678901234567890/)
})

test('EventSource brings no service token', async (t) => {
  const page = await pageAt(await open(t), PAGE)
  const [response, state] = await Promise.all([
    page.waitForResponse(`${LAX}/api/events`),
    page.evaluate((url) => {
      const events = new EventSource(url, { withCredentials: true })
      return new Promise((closed) => (events.onerror = () => closed(events.readyState)))
    }, `${LAX}/api/events`),
  ])
  assert.equal(response.status(), 401)
  assert.equal(state, 2, 'and it does not try again')
})

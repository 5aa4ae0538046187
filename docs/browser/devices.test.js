// Somebody signs in with two browsers, sees both, and ends the other's session. API is the service, and
// PAGE a site on the same host whose /login signs in whoever has a session.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openProfile } from './browser.js'

const { API, PAGE } = process.env

/** Runs in a page: one request, and what came of it. */
async function call([url, method = 'GET']) {
  const response = await fetch(url, { method, credentials: 'include' })
  const text = await response.text()
  return { status: response.status, body: text ? JSON.parse(text) : undefined }
}

async function signIn(t) {
  const page = await (await openProfile(t)).newPage()
  await page.goto(PAGE)
  assert.equal((await page.evaluate(call, [`${API}/api/session`, 'POST'])).status, 201)
  assert.equal((await page.evaluate(call, [`${PAGE}/login`, 'POST'])).status, 200)
  const { status, body } = await page.evaluate(call, [`${API}/api/session`])
  assert.deepEqual([status, body.user?.id], [200, 'ada'])
  return { page, id: body.id }
}

test('one browser signs the other one out', async (t) => {
  const here = await signIn(t)
  const there = await signIn(t)
  assert.notEqual(here.id, there.id)
  const devices = async () => (await here.page.evaluate(call, [`${API}/api/user/sessions`])).body.sessions

  const both = await devices()
  assert.deepEqual(both.map(({ id, current }) => [id, current ?? false]), [[there.id, false], [here.id, true]], 'the newest first')
  for (const { client } of both) assert.match(client.label, /^(Headless )?Chrom\S* on Linux$/)

  const ended = await here.page.evaluate(call, [`${API}/api/user/sessions/${there.id}`, 'DELETE'])
  assert.equal(ended.status, 204)
  assert.deepEqual((await devices()).map(({ id }) => id), [here.id])

  await there.page.reload()
  const out = await there.page.evaluate(call, [`${API}/api/session`])
  assert.deepEqual([out.status, out.body.code], [401, 'unauthorized'])
  assert.equal((await there.page.evaluate(call, [`${API}/api/user/sessions/${here.id}`, 'DELETE'])).status, 401, 'it cannot take revenge')
  assert.equal((await here.page.evaluate(call, [`${API}/api/session`])).status, 200)
})

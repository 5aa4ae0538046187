import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSessionClient, etag, type SessionClient } from 'session-api-client'
import { assertProblem, assertSignedOut, baseUrl, cookieFetch } from './service.js'

const hour = 3_600_000

async function newToken(): Promise<string> {
  const { data } = await createSessionClient({ baseUrl }).POST('/api/session', { params: { query: { transport: 'bearer' } } })
  assert.ok(data?.token)
  return data.token
}

test('a life by cookie', async () => {
  const { fetch, cookies } = cookieFetch()
  const client = createSessionClient({ baseUrl, fetch })
  const { data, response } = await client.POST('/api/session', { body: { inputs: { step: 1 }, ttlMs: hour } })
  assert.equal(response.status, 201)
  assert.ok(data)
  assert.equal(data.token, undefined, 'it is in the cookie')
  assert.ok(cookies.has('validator_session_id'))

  const id = await lead(client, data.id, 'no_credential')
  assert.notEqual(id, data.id)
  assert.equal(cookies.size, 0, 'the end clears the cookie')
})

test('a life by bearer', async () => {
  const { data, response } = await createSessionClient({ baseUrl }).POST('/api/session', {
    params: { query: { transport: 'bearer' } },
    body: { inputs: { step: 1 }, ttlMs: hour },
  })
  assert.ok(data?.token)
  assert.deepEqual(response.headers.getSetCookie(), [])

  let token = data.token
  const client = createSessionClient({ baseUrl, token: () => token })
  client.use({
    async onResponse({ response }) {
      const answer: unknown = response.ok && response.status !== 204 ? await response.clone().json().catch(() => null) : null
      if (answer instanceof Object && 'token' in answer) token = String(answer.token)
    },
  })
  await lead(client, data.id, 'unauthorized')
})

/** Takes a session, whose inputs are a step and whose life is an hour, through its life. Returns its last id. */
async function lead(client: SessionClient, id: string, after: 'no_credential' | 'unauthorized'): Promise<string> {
  const head = await client.HEAD('/api/session')
  assert.equal(head.response.status, 200)

  const read = await client.GET('/api/session')
  assert.ok(read.data)
  assert.equal(read.data.id, id)
  assert.equal(read.data.revision, 1)
  assert.equal(read.data.user, null)
  assert.deepEqual(read.data.inputs, { step: 1 })
  const first = { 'If-Match': etag(read.response) }

  const same = await client.GET('/api/session', {
    params: { query: { touch: false }, header: { 'If-None-Match': etag(read.response) } },
  })
  assert.equal(same.response.status, 304)

  // A section is replaced, another emptied, and the others stay.
  const replaced = await client.PUT('/api/session', {
    params: { header: first },
    body: { apiConfig: { model: 'm-1' }, results: null },
  })
  assert.equal(replaced.data?.revision, 2)
  assert.deepEqual(replaced.data.apiConfig, { model: 'm-1' })
  assert.deepEqual(replaced.data.inputs, { step: 1 })

  // A document that was read can be changed and sent back whole.
  const back = await client.PUT('/api/session', { body: { ...replaced.data, meta: { page: 2 } } })
  assert.deepEqual(back.data?.meta, { page: 2 })

  // Whoever still holds the first ETag is told.
  const late = await client.PATCH('/api/session', { params: { header: first }, body: { meta: { lost: true } } })
  assertProblem(late, 'precondition_failed')
  assert.equal(late.response.status, 412)

  // A merge removes what is null, at any depth.
  const merged = await client.PATCH('/api/session', { body: { inputs: { step: null, files: ['a.csv'] }, apiConfig: null } })
  assert.deepEqual(merged.data?.inputs, { files: ['a.csv'] })
  assert.deepEqual(merged.data.apiConfig, {})

  // And operations say what a merge cannot.
  const appended = await client.POST('/api/session/operations', {
    body: [
      { op: 'test', path: '/inputs/files/0', value: 'a.csv' },
      { op: 'add', path: '/inputs/files/-', value: 'b.csv' },
    ],
  })
  assert.deepEqual(appended.data?.inputs, { files: ['a.csv', 'b.csv'] })
  const failed = await client.POST('/api/session/operations', {
    body: [{ op: 'test', path: '/inputs/files/0', value: 'z.csv' }],
  })
  assertProblem(failed, 'patch_test_failed')
  assert.equal(failed.error.errors?.[0]?.pointer, '/0/value')

  // Neither touch nor regenerate needs a body, and so no Content-Type.
  const touched = await client.POST('/api/session/touch')
  assert.equal(touched.data?.revision, appended.data.revision)
  const shorter = await client.POST('/api/session/touch', { body: { ttlMs: hour / 2 } })
  assert.ok(shorter.data && shorter.data.expiresAt < touched.data.expiresAt)
  const regenerated = await client.POST('/api/session/regenerate')
  assert.ok(regenerated.data)
  const now = await client.GET('/api/session')
  assert.equal(now.data?.id, regenerated.data.id)

  // A write whose ETag is that of the answer before succeeds.
  const changed = await client.PATCH('/api/session', { params: { header: { 'If-Match': etag(now.response) } }, body: { meta: null } })
  assert.equal(changed.response.status, 200)

  const kept = await client.DELETE('/api/session', { params: { header: first } })
  assertProblem(kept, 'precondition_failed')
  const ended = await client.DELETE('/api/session')
  assert.equal(ended.response.status, 204)
  assertProblem(await client.GET('/api/session'), after)
  assert.equal((await client.HEAD('/api/session')).response.status, 401)
  return regenerated.data.id
}

test('a cookie and a token of one session go together, of two they do not', async () => {
  const token = await newToken()
  const headers = { Cookie: `validator_session_id=${encodeURIComponent(token)}` }
  const both = await createSessionClient({ baseUrl, token, headers }).GET('/api/session')
  assert.equal(both.response.status, 200)
  const differing = await createSessionClient({ baseUrl, token: await newToken(), headers }).GET('/api/session')
  assertProblem(differing, 'conflicting_credentials')
})

test('problems are typed', async () => {
  const client = createSessionClient({ baseUrl, token: await newToken() })
  assertProblem(await client.PUT('/api/session', { body: { user: { id: 'u-1' } } }), 'user_forbidden')
  const invalid = await client.POST('/api/session/touch', { body: { ttlMs: -1 } })
  assertProblem(invalid, 'validation_failed')
  assert.equal(invalid.error.errors?.[0]?.pointer, '/ttlMs')
})

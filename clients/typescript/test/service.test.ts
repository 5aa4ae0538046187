import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSessionClient } from 'session-api-client'
import { assertProblem, assertSignedOut, baseUrl, serviceToken } from './service.js'

const client = createSessionClient({ baseUrl, token: serviceToken })

async function createFor(id: string) {
  const { data } = await client.POST('/api/sessions', { body: { user: { id, roles: ['editor'] } } })
  assert.ok(data?.token && data.setCookie)
  return { session: data.session, token: data.token, setCookie: data.setCookie }
}

test('a service creates a session for somebody', async () => {
  const { session, token, setCookie } = await createFor('ts-somebody')
  assert.deepEqual(session.user, { id: 'ts-somebody', email: '', roles: ['editor'] })

  const byToken = await createSessionClient({ baseUrl, token }).GET('/api/session')
  assert.equal(byToken.data?.id, session.id)
  const headers = { Cookie: setCookie.split(';', 1).join() }
  const byCookie = await createSessionClient({ baseUrl, headers }).GET('/api/session')
  assert.equal(byCookie.data?.id, session.id)
})

test('a service lists, counts and signs out', async () => {
  const userId = 'ts-many'
  const ids: string[] = []
  for (let n = 0; n < 5; n++) ids.push((await createFor(userId)).session.id)

  const listed: string[] = []
  let cursor: string | undefined
  do {
    const query = cursor === undefined ? { userId, limit: 2 } : { userId, limit: 2, cursor }
    const { data } = await client.GET('/api/sessions', { params: { query } })
    assert.ok(data && data.sessions.length <= 2)
    listed.push(...data.sessions.map((session) => session.id))
    cursor = data.nextCursor
  } while (cursor !== undefined)
  assert.deepEqual(listed.sort(), ids.toSorted())

  const count = async () => (await client.GET('/api/sessions/count', { params: { query: { userId } } })).data?.count
  assert.equal(await count(), 5)
  const elsewhere = await client.DELETE('/api/sessions', { params: { query: { userId, except: ids[0]! } } })
  assert.equal(elsewhere.data?.deleted, 4)
  const everywhere = await client.DELETE('/api/sessions', { params: { query: { userId } } })
  assert.equal(everywhere.data?.deleted, 1)
  assert.equal(await count(), 0)
  assertProblem(await client.DELETE('/api/sessions'), 'invalid_query')
})

test('a life by id', async () => {
  const path = { id: 'ts_client-0123456789' }
  const query = { namespace: 'ts-life' }
  const body = { inputs: { step: 1 } }
  const at = { params: { path, query } }
  assertProblem(await client.GET('/api/sessions/{id}', at), 'session_not_found')

  const onlyNew = { params: { path, query, header: { 'If-None-Match': '*' } }, body }
  const created = await client.PUT('/api/sessions/{id}', onlyNew)
  assert.equal(created.response.status, 201)
  assert.equal(created.data?.id, path.id)
  assertProblem(await client.PUT('/api/sessions/{id}', onlyNew), 'precondition_failed')

  const patched = await client.PATCH('/api/sessions/{id}', { ...at, body: { user: { id: 'u-1' }, inputs: { step: null } } })
  assert.equal(patched.data?.user?.id, 'u-1')
  assert.deepEqual(patched.data.inputs, {})
  const touched = await client.POST('/api/sessions/{id}/touch', { ...at, body: { ttlMs: 60_000 } })
  assert.ok(touched.data && touched.data.expiresAt < patched.data.expiresAt)
  const again = await client.POST('/api/sessions/{id}/touch', at)
  assert.equal(again.response.status, 200, 'no body is needed')

  for (let n = 0; n < 2; n++) assert.equal((await client.DELETE('/api/sessions/{id}', at)).response.status, 204)
  assertProblem(await client.GET('/api/sessions/{id}', at), 'session_not_found')
  assertProblem(await client.PUT('/api/sessions/{id}', { ...at, body }), 'session_ended')
  const revived = await client.PUT('/api/sessions/{id}', { params: { path, query: { ...query, revive: true } }, body })
  assert.equal(revived.response.status, 201)
})

test('a service regenerates', async () => {
  const { session, token } = await createFor('ts-regenerate')
  const { data } = await client.POST('/api/sessions/{id}/regenerate', { params: { path: { id: session.id } } })
  assert.ok(data?.token && data.setCookie)
  assert.notEqual(data.session.id, session.id)
  assertProblem(await createSessionClient({ baseUrl, token }).GET('/api/session'), 'unauthorized')
  const now = await createSessionClient({ baseUrl, token: data.token }).GET('/api/session')
  assert.equal(now.data?.id, data.session.id)
})

test('a stranger is refused', async () => {
  assertSignedOut(await createSessionClient({ baseUrl }).GET('/api/sessions'))
})

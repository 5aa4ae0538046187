import assert from 'node:assert/strict'
import { test } from 'node:test'
import { client as heyApiClient } from './generated/hey-api/client.gen.js'
import * as heyApi from './generated/hey-api/index.js'
import * as orval from './generated/orval.js'
import { baseUrl, serviceToken } from './service.js'

test('a client that hey-api makes', async () => {
  heyApiClient.setConfig({ baseUrl })
  const created = await heyApi.createSession({ query: { transport: 'bearer' }, body: { inputs: { step: 1 } } })
  assert.ok(created.data?.token)
  const auth = created.data.token
  const first = created.response.headers.get('ETag') ?? ''

  const patched = await heyApi.patchSession({ auth, body: { inputs: { step: 2 } }, headers: { 'If-Match': first } })
  assert.equal(patched.data?.revision, 2)
  const touched = await heyApi.touchSession({ auth })
  assert.deepEqual(touched.data?.inputs, { step: 2 })
  const late = await heyApi.replaceSections({ auth, body: { meta: {} }, headers: { 'If-Match': first } })
  assert.equal(late.error?.code, 'precondition_failed')
})

test('a client that orval makes', async () => {
  const created = await orval.createSession(undefined, { transport: 'bearer' })
  assert.ok(created.status === 201 && created.data.token)
  const options = { headers: { Authorization: `Bearer ${created.data.token}` } }
  const first = created.headers.get('ETag') ?? ''

  const patched = await orval.patchSession({ inputs: { step: 2 } }, options)
  assert.ok(patched.status === 200)
  assert.equal(patched.data.revision, 2)
  const touched = await orval.touchSession(undefined, options)
  assert.ok(touched.status === 200)
  assert.deepEqual(touched.data.inputs, { step: 2 })
  const late = await orval.replaceSections({ meta: {} }, { headers: { ...options.headers, 'If-Match': first } })
  assert.ok(late.status === 412)
  assert.equal(late.data.code, 'precondition_failed')
})

test('a stream of events that hey-api reads', async () => {
  heyApiClient.setConfig({ baseUrl })
  const reading = new AbortController()
  const { stream } = await heyApi.streamEvents({
    auth: serviceToken,
    signal: reading.signal,
    query: { userId: 'hey-api-events', type: ['created', 'deleted'] },
    // Its reader connects when it is first asked for an event.
    fetch: async (input: string | Request | URL, init?: RequestInit) => {
      const response = await fetch(input, init)
      assert.equal(response.status, 200)
      await heyApi.createSessionFor({ auth: serviceToken, body: { user: { id: 'hey-api-events' } } })
      return response
    },
  })
  const first = await stream.next()
  const event: unknown = first.value
  assert.ok(event instanceof Object && 'type' in event)
  assert.equal(event.type, 'created')
  reading.abort()
})

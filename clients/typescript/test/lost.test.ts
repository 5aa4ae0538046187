// Answers that are lost on the way, with the service: what was asked for is done once.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSession, createSessionClient } from 'session-api-client'
import { baseUrl, cookieFetch, serviceToken } from './service.js'

interface Lists {
  inputs: { n: number[] }
}

/** A fetch whose requests all arrive, and whose first answer to what changes something does not. */
function losing(send: (request: Request) => Promise<Response>, lost: 'all of it' | 'its end') {
  const keys: (string | null)[] = []
  return {
    keys,
    async fetch(request: Request): Promise<Response> {
      const response = await send(request)
      if (request.method === 'GET') return response
      keys.push(request.headers.get('Idempotency-Key'))
      if (keys.length % 2 === 0) return response
      await response.arrayBuffer()
      if (lost === 'all of it') throw new TypeError('fetch failed')
      return new Response(new ReadableStream({ start: (stream) => stream.error(new TypeError('terminated')) }), response)
    },
  }
}

const service = createSessionClient({ baseUrl, token: serviceToken })

for (const lost of ['all of it', 'its end'] as const) {
  for (const transport of ['cookie', 'bearer'] as const) {
    test(`the handle of a session, by ${transport}, where ${lost} is lost`, async () => {
      const sent = losing(transport === 'cookie' ? cookieFetch().fetch : (request) => fetch(request), lost)
      const session = createSession<Lists>({ baseUrl, transport, fetch: (url, init) => sent.fetch(new Request(url, init)) })
      const { id } = await session.load({ inputs: { n: [] } })
      const changed = await session.update((draft) => draft.inputs.n.push(1))
      assert.deepEqual([changed.id, changed.inputs, changed.revision], [id, { n: [1] }, 2])
      const renewed = await session.regenerate()
      assert.notEqual(renewed.id, id)
      assert.deepEqual((await session.reload()).inputs, { n: [1] })
      assert.equal((await session.reload()).id, renewed.id)
      assert.equal(new Set(sent.keys).size, sent.keys.length / 2)
      const gone = await service.GET('/api/sessions/{id}', { params: { path: { id } } })
      assert.equal(gone.response.status, 404)
      await session.end()
    })
  }

  test(`the whole API, where ${lost} is lost`, async () => {
    const sent = losing((request) => fetch(request), lost)
    const userId = `lost-${lost.replaceAll(' ', '-')}`
    const client = createSessionClient({ baseUrl, token: serviceToken, retries: 2, fetch: sent.fetch })
    const created = await client.POST('/api/sessions', { body: { user: { id: userId } } })
    assert.ok(created.data?.token)
    const listed = await client.GET('/api/sessions/count', { params: { query: { userId } } })
    assert.equal(listed.data?.count, 1)
    const { id } = created.data.session
    const renewed = await client.POST('/api/sessions/{id}/regenerate', { params: { path: { id } }, body: {} })
    assert.ok(renewed.data?.token && renewed.data.session.id !== id)
    const ended = await client.POST('/api/sessions/end', { body: { ids: [renewed.data.session.id] } })
    assert.equal(ended.data?.count, 1, 'and not 0, as it would be the second time')
    assert.equal(new Set(sent.keys).size, 3)
  })
}

test('what takes no key is sent once', async () => {
  const sent = losing((request) => fetch(request), 'all of it')
  const client = createSessionClient({ baseUrl, token: serviceToken, retries: 2, fetch: sent.fetch })
  await assert.rejects(client.POST('/api/cleanup', { params: { query: { dryRun: true } } }), /fetch failed/)
  assert.deepEqual(sent.keys, [null])
  const without = createSessionClient({ baseUrl, token: serviceToken, retries: 2, idempotencyKey: false, fetch: sent.fetch })
  sent.keys.length = 0
  await assert.rejects(without.POST('/api/sessions', { body: {} }), /fetch failed/)
  assert.deepEqual(sent.keys, [null])
})

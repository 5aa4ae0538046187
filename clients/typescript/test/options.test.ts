import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSessionClient, etag, type SessionClientOptions } from 'session-api-client'

/** The headers of a request that a client with these options sends. */
async function sent(options: SessionClientOptions, headers?: HeadersInit): Promise<Headers> {
  let seen: Headers | undefined
  const client = createSessionClient({
    baseUrl: 'http://service.test',
    ...options,
    fetch: async (request) => {
      seen = request.headers
      return Response.json({}, { headers: { ETag: '"opaque"' } })
    },
  })
  const { response } = await client.GET('/api/session', headers ? { headers } : {})
  assert.equal(etag(response), '"opaque"')
  return seen ?? assert.fail()
}

/** As of a polyfill or of jsdom: not the global class. */
class ForeignHeaders {
  *[Symbol.iterator](): IterableIterator<[string, string]> {
    yield ['X-Tenant', 'a']
  }
}

for (const [kind, headers] of Object.entries({
  Headers: new Headers({ 'X-Tenant': 'a' }),
  pairs: [['X-Tenant', 'a']] satisfies HeadersInit,
  'an object': { 'X-Tenant': 'a', 'X-Absent': undefined },
  'Headers of another kind': new ForeignHeaders() as unknown as Headers,
  'entries of a map': new Map([['X-Tenant', 'a']]) as unknown as Headers,
})) {
  test(`headers as ${kind}, with a token and without`, async () => {
    const withToken = await sent({ token: 's:x', headers })
    assert.equal(withToken.get('X-Tenant'), 'a')
    assert.equal(withToken.get('Authorization'), 'Bearer s:x')
    const without = await sent({ headers })
    assert.equal(without.get('X-Tenant'), 'a')
    assert.deepEqual([without.has('Authorization'), without.has('X-Absent')], [false, false])
  })
}

test('the token may be a function, which is asked each time', async () => {
  let n = 0
  const tokens: SessionClientOptions[] = [{ token: () => `t${++n}` }, { token: async () => `t${++n}` }]
  for (const [index, options] of tokens.entries()) {
    assert.equal((await sent(options)).get('Authorization'), `Bearer t${index + 1}`)
  }
  for (const none of [undefined, null, '']) {
    assert.equal((await sent({ token: () => none })).has('Authorization'), false)
  }
  await assert.rejects(sent({ token: () => Promise.reject(new Error('of the app')) }), /of the app/)
})

test('an Authorization of the call or of the headers comes first', async () => {
  assert.equal((await sent({ token: 'a', headers: { authorization: 'Bearer b' } })).get('Authorization'), 'Bearer b')
  assert.equal((await sent({ token: 'a' }, { Authorization: 'Bearer c' })).get('Authorization'), 'Bearer c')
})

test('there is no ETag where the answer has none', () => {
  assert.throws(() => etag(new Response(null, { status: 204 })), /no ETag.*204/)
})

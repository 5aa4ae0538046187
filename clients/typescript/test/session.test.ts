// The handle of a session, with the service.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSession, isSessionApiError, SignedOutError, ValidationError, type SessionOptions } from 'session-api-client'
import { baseUrl, cookieFetch } from './service.js'

interface Basket {
  inputs: { step: number; draft?: string | null; files?: string[] }
  meta: { theme?: string; from?: { page: number } }
}

function byCookie() {
  const { fetch, cookies } = cookieFetch()
  const methods: string[] = []
  const options: SessionOptions = {
    baseUrl,
    fetch: (url, init) => {
      methods.push(init.method!)
      return fetch(new Request(url, init))
    },
  }
  return { open: () => createSession<Basket>(options), cookies, methods }
}

test('a life by cookie', async () => {
  const { open, cookies, methods } = byCookie()
  const session = open()
  assert.equal(session.current, undefined)
  await assert.rejects(session.reload(), SignedOutError)
  methods.length = 0

  const [first, same] = await Promise.all([session.load({ inputs: { step: 1 } }), session.load({ inputs: { step: 9 } })])
  assert.deepEqual(methods, ['POST'])
  assert.equal(first, same)
  assert.deepEqual([first.inputs, first.meta, first.user], [{ step: 1 }, {}, null])
  assert.equal(await open().load({ inputs: { step: 2 } }).then(({ id }) => id), first.id, 'the browser has one')

  const changed = await session.update((draft) => {
    draft.inputs.step++
    draft.inputs.draft = null
    draft.inputs.files = ['a.csv']
    draft.meta.from = { page: 2 }
  })
  assert.deepEqual([changed.inputs, changed.meta], [{ step: 2, draft: null, files: ['a.csv'] }, { from: { page: 2 } }])
  assert.equal(session.current, changed)
  assert.deepEqual(first.inputs, { step: 1 }, 'what was read before stays as it was')

  const regenerated = await session.regenerate({ graceMs: 1000 })
  assert.notEqual(regenerated.id, first.id)
  await session.end()
  assert.deepEqual([session.current, cookies.size], [undefined, 0])
  await session.end()
  await assert.rejects(session.update((draft) => draft.inputs.step++), SignedOutError)
})

test('remember me', async () => {
  const { fetch } = cookieFetch()
  const persistent: boolean[] = []
  const session = createSession({
    baseUrl,
    fetch: async (url, init) => {
      const response = await fetch(new Request(url, init))
      persistent.push(response.headers.getSetCookie().some((cookie) => cookie.includes('; Max-Age=')))
      return response
    },
  })
  await session.load({ remember: false })
  await session.regenerate({ remember: true })
  await session.regenerate()
  await session.regenerate({ remember: false, graceMs: 1000 })
  assert.deepEqual(persistent, [false, true, true, false])
})

test('a life by bearer', async () => {
  const tokens: string[] = []
  const session = createSession<Basket>({ baseUrl, transport: 'bearer', onToken: (token) => tokens.push(token) })
  const { id } = await session.load({ inputs: { step: 1 }, ttlMs: 60_000 })
  assert.ok(!('token' in session.current!))
  const regenerated = await session.regenerate()
  assert.notEqual(regenerated.id, id)
  assert.equal(new Set(tokens).size, 2)
  await assert.rejects(createSession({ baseUrl, token: tokens[0]! }).reload(), SignedOutError)
  for (const token of [tokens[1]!, async () => tokens[1]]) {
    assert.equal((await createSession({ baseUrl, token }).reload()).id, regenerated.id)
  }
  await session.end()
  assert.notEqual((await session.load()).id, id, 'there can be another one')
})

test('many who change one session lose nothing', async () => {
  const { open } = byCookie()
  const sessions = [open(), open(), open()]
  await sessions[0]!.load({ inputs: { step: 0, files: [] } })
  await Promise.all(
    sessions.flatMap((session, n) =>
      Array.from({ length: 4 }, () =>
        session.update((draft) => {
          draft.inputs.step++
          draft.inputs.files!.push(`of ${n}`)
        }),
      ),
    ),
  )
  const { inputs } = await sessions[0]!.reload()
  assert.equal(inputs.step, 12)
  assert.deepEqual(inputs.files!.toSorted(), ['of 0', 'of 1', 'of 2'].flatMap((text) => Array(4).fill(text)))
})

test('what has not changed is the same object, and frozen', async () => {
  const { open, methods } = byCookie()
  const [session, other] = [open(), open()]
  const first = await session.load({ inputs: { step: 1, files: ['a'] }, meta: { from: { page: 1 } } })
  let calls = 0
  const stop = session.subscribe(() => calls++)
  methods.length = 0
  assert.equal(await session.update((draft) => draft.inputs.step + 1), first)
  assert.deepEqual([calls, methods], [0, []])
  assert.equal(await session.reload(), first)
  await other.update((draft) => { draft.inputs.step = 2 })
  const second = await session.reload()
  assert.notEqual(second, first)
  assert.equal(second.meta, first.meta)
  assert.equal(second.inputs.files, first.inputs.files)
  assert.equal(calls, 1)
  assert.throws(() => Object.assign(second.meta.from!, { page: 2 }), TypeError)
  stop()
  await session.end()
  assert.equal(calls, 1)
})

test('sections are replaced, emptied, and kept to what the service takes', async () => {
  const session = byCookie().open()
  await session.load({ inputs: { step: 1 }, meta: { theme: 'dark' } })
  const emptied = await session.update((draft) => Object.assign(draft, { meta: undefined, inputs: { step: 7 } }))
  assert.deepEqual([emptied.inputs, emptied.meta], [{ step: 7 }, {}])
  await assert.rejects(
    session.update((draft) => { draft.user = { id: 'u-1', email: '', roles: [] } }),
    (error) => isSessionApiError(error, 'user_forbidden') && error.status === 403 && error.requestId !== '',
  )
  await assert.rejects(session.update((draft) => Object.assign(draft.inputs, { constructor: 1 })), ValidationError)
  assert.deepEqual(session.current, emptied)
})

test('numbers of more digits than JavaScript keeps stay as they are', async () => {
  let token = ''
  const session = createSession<{ inputs: { n?: number; m?: number } }>({ baseUrl, transport: 'bearer', onToken: (issued) => { token = issued } })
  await session.load()
  const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' }
  const digits = '"big":12345678901234567890,"fine":0.12345678901234567891'
  const body = `{"inputs":{"n":1,"m":1,${digits}}}`
  assert.equal((await fetch(baseUrl + '/api/session', { method: 'PUT', headers, body })).status, 200)
  await session.reload()
  await session.update(({ inputs }) => Object.assign(inputs, { n: 2, m: 2 }))
  assert.ok((await (await fetch(baseUrl + '/api/session', { headers })).text()).includes(`{"n":2,"m":2,${digits}}`))
})

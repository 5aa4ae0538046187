// What createSession makes of failures, without a service.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createSession,
  errorOf,
  isSessionApiError,
  PreconditionFailedError,
  SessionApiError,
  SignedOutError,
  UnavailableError,
  ValidationError,
  type SessionOptions,
} from 'session-api-client'
import { document, problem, recorder, silence, type Answer } from './fake.js'

function open(answers: Answer[], options: SessionOptions = {}) {
  const { fetch, requests } = recorder(answers)
  const session = createSession<{ meta: { n: number } }>({ baseUrl: 'http://service.test/', fetch, ...options })
  return { session, requests }
}

const failure = async (promise: Promise<unknown>): Promise<SessionApiError> =>
  promise.then(
    () => assert.fail('it works'),
    (error) => (isSessionApiError(error) ? error : assert.fail(error)),
  )
const refused = new TypeError('fetch failed')
const increment = (draft: { meta: { n: number } }) => draft.meta.n++

test('reads are repeated, after the time that the service asks for', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { session, requests } = open([refused, problem(503, 'overloaded', { 'Retry-After': '7' }), document({ meta: { n: 3 } })])
  const reading = session.reload()
  const settle = async () => {
    for (let n = 0; n < 50; n++) await Promise.resolve()
  }
  await settle()
  t.mock.timers.tick(200)
  await settle()
  assert.equal(requests.length, 2, 'the first pause is 200 ms at most')
  t.mock.timers.tick(6_999)
  await settle()
  assert.equal(requests.length, 2)
  t.mock.timers.tick(401)
  assert.equal((await reading).meta.n, 3)
})

test('they are not repeated for ever, nor where the service asks for too much, nor unless they may work', async () => {
  for (const [answers, retries, code] of [
    [[refused], 0, 'unreachable'],
    [[problem(503, 'not_ready', { 'Retry-After': '31' })], 2, 'not_ready'],
    [[problem(500, 'internal')], 2, 'internal'],
    [[problem(429, 'rate_limited')], 2, 'rate_limited'],
    [[problem(503, 'overloaded'), problem(503, 'store_unavailable')], 1, 'store_unavailable'],
  ] satisfies [Answer[], number, string][]) {
    const { session, requests } = open(answers, { retries })
    assert.equal((await failure(session.reload())).code, code)
    assert.equal(requests.length, answers.length)
  }
})

test('what changes something is repeated with the same key', async () => {
  const progress = problem(409, 'request_in_progress', { 'Retry-After': '0' })
  const { session, requests } = open([document({ meta: { n: 1 } }), refused, progress, document({ meta: { n: 2 } }, 2), document({}, 3)])
  assert.equal((await session.update(increment)).meta.n, 2)
  await session.regenerate()
  const keys = requests.map(({ headers }) => headers.get('Idempotency-Key'))
  assert.equal(keys[0], null, 'reads need none')
  assert.match(keys[1]!, /^"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"$/)
  assert.deepEqual(keys.slice(1, 4), [keys[1], keys[1], keys[1]])
  assert.notEqual(keys[4], keys[1])
  assert.equal(new Set(requests.slice(1, 4).map(({ body }) => body)).size, 1)
})

test('without a key it is sent once: nobody knows what became of it', async () => {
  for (const answer of [refused, problem(503, 'store_unavailable')]) {
    const { session, requests } = open([document({ meta: { n: 1 } }), answer], { idempotencyKey: false })
    assert.ok((await failure(session.update(increment))) instanceof UnavailableError)
    assert.equal(requests.length, 2)
    assert.equal(requests[1]!.headers.get('Idempotency-Key'), null)
  }
})

test('a key can be the own one, and a conflict of another kind is not repeated', async () => {
  const { session, requests } = open([document({ meta: { n: 1 } }), problem(409, 'patch_test_failed')], { idempotencyKey: () => 'key-of-the-app-17' })
  assert.equal((await failure(session.update(increment))).code, 'patch_test_failed')
  assert.equal(requests[1]!.headers.get('Idempotency-Key'), 'key-of-the-app-17')
})

test('an update begins again where somebody was faster, but not for ever', async () => {
  const { session, requests } = open([
    document({ meta: { n: 1 } }),
    problem(412, 'precondition_failed'),
    document({ meta: { n: 5 } }, 2),
    document({ meta: { n: 6 } }, 3),
  ])
  assert.equal((await session.update(increment)).meta.n, 6)
  assert.deepEqual(requests.map(({ method, headers }) => [method, headers.get('If-Match')]), [
    ['GET', null], ['POST', '"1"'], ['GET', null], ['POST', '"2"'],
  ])
  assert.deepEqual(JSON.parse(requests[3]!.body!), [{ op: 'replace', path: '/meta/n', value: 6 }])

  const busy = Array.from({ length: 8 }, (_, n) => [document({ meta: { n } }, n), problem(412, 'precondition_failed')]).flat()
  const beaten = open(busy)
  assert.ok((await failure(beaten.session.update(increment))) instanceof PreconditionFailedError)
  assert.equal(beaten.requests.length, busy.length)
})

test('a call is given up after its time, and by its signal', async () => {
  const { session } = open([silence, silence, silence, silence], { timeout: 20, retries: 1 })
  const late = await failure(session.reload())
  assert.deepEqual([late.code, late.status, late instanceof UnavailableError], ['timeout', 0, true])
  const controller = new AbortController()
  const why = new Error('of the app')
  const calls = [session.reload(controller), session.update(increment, controller), session.load(undefined, controller)]
  controller.abort(why)
  for (const call of calls) await assert.rejects(call, why)
})

test('a body that breaks off is a failure as well, and the time is for all of it', async () => {
  const body = () => new Response(new ReadableStream({ start: (stream) => stream.error(new Error('reset')) }))
  const { session, requests } = open([async () => body(), document({ meta: { n: 2 } })])
  assert.equal((await session.reload()).meta.n, 2)
  assert.equal(requests.length, 2)
})

test('errors say what happened', async () => {
  for (const [answer, kind, code] of [
    [problem(401, 'unauthorized'), SignedOutError, 'unauthorized'],
    [problem(401, 'of_a_later_version'), SignedOutError, 'of_a_later_version'],
    [problem(422, 'validation_failed'), ValidationError, 'validation_failed'],
    [problem(403, 'user_forbidden'), SessionApiError, 'user_forbidden'],
    [new Response('<html>', { status: 502 }), SessionApiError, 'unexpected_answer'],
    [new Response('<html>', { status: 200 }), SessionApiError, 'unexpected_answer'],
    [new Response('{"code": "x"}', { status: 302, headers: { Location: '/login' } }), SessionApiError, 'x'],
  ] satisfies [Response, Function, string][]) {
    const error = await failure(open([answer]).session.reload())
    assert.ok(error instanceof kind && error instanceof Error)
    assert.deepEqual([error.name, error.code, error.status], [kind.name, code, answer.status])
  }
  const error = await failure(open([problem(422, 'validation_failed', { 'Retry-After': '2' })]).session.reload())
  assert.deepEqual([error.requestId, error.message, error.retryAfterMs, error.errors], ['r-1', 'session-api: D', 2000, []])
  assert.ok(isSessionApiError(error, 'too_large', 'validation_failed') && !isSessionApiError(error, 'too_large'))
  assert.ok(!isSessionApiError(new Error('x')) && !isSessionApiError(null))
})

test('a wait until a date', async () => {
  const date = new Date(Date.now() + 100_000).toUTCString()
  const error = await failure(open([problem(503, 'not_ready', { 'Retry-After': date })]).session.reload())
  assert.ok(error.retryAfterMs! > 95_000 && error.retryAfterMs! <= 100_000)
  const none = await failure(open([problem(503, 'not_ready', { 'Retry-After': 'soon' })], { retries: 0 }).session.reload())
  assert.equal(none.retryAfterMs, undefined)
})

test('an answer of the client is an error, too', () => {
  assert.equal(errorOf({ response: new Response(null, { status: 304 }) }), undefined)
  assert.equal(errorOf({ response: Response.json({}) }), undefined)
  const error = errorOf({ error: { code: 'session_not_found', detail: 'D' }, response: new Response(null, { status: 404 }) })
  assert.deepEqual([error?.code, error?.status], ['session_not_found', 404])
  assert.equal(errorOf({ response: new Response(null, { status: 401 }) })?.code, 'unexpected_answer')
})

test('a change that cannot be is refused before anything is sent', async () => {
  const { session, requests } = open([document({ meta: { n: 1 } })])
  await session.reload()
  await assert.rejects(session.update(async (draft) => draft.meta.n++), /not async/)
  await assert.rejects(session.update((draft) => Object.assign(draft, { metadata: {} })), /no section metadata/)
  await assert.rejects(session.update(() => { throw new Error('of the app') }), /of the app/)
  await session.update((draft) => draft.meta.n + 1)
  assert.equal(requests.length, 1)
})

test('options are checked', () => {
  for (const options of [{ timeout: 0 }, { timeout: NaN }, { timeout: Infinity }, { retries: -1 }, { retries: 1.5 }, { idempotencyKey: true as never }]) {
    assert.throws(() => createSession(options), TypeError)
  }
})

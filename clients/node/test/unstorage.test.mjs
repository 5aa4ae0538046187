// What unstorage's tests ask of every driver, and what is particular to this one.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import sessionApiDriver from 'session-api-store/unstorage'
import { call, options, services, until } from './service.mjs'

// unstorage2.test.mjs imports this file again, for the next major version.
const { createStorage, prefixStorage, restoreSnapshot, snapshot } = await import(import.meta.url.endsWith('?2') ? 'unstorage2' : 'unstorage')

function open(more) {
  const at = options(more)
  const driver = sessionApiDriver(at)
  return { at, driver, storage: createStorage({ driver }) }
}

const sorted = async (keys) => (await keys).sort()

test('starts empty', async () => {
  const { storage } = open()
  assert.equal(await storage.hasItem('s1:a'), false)
  assert.equal(await storage.getItem('s2:a'), null)
  assert.equal(await storage.getItemRaw('s2:a'), null)
  assert.deepEqual(await storage.getKeys(), [])
  await storage.removeItem('s1:a')
  await storage.clear()
  assert.deepEqual(await storage.getKeys(), [])
})

test('snapshots are restored', async () => {
  const { storage } = open()
  await restoreSnapshot(storage, { initial: 'works', 'a:b': 'too' })
  assert.deepEqual(await snapshot(storage, ''), { initial: 'works', 'a:b': 'too' })
})

test('keys lose their query, and are found by base and depth', async () => {
  const { storage } = open()
  await storage.setItem('s1:a', 'one')
  await storage.setItem('s2/a', 'two')
  await storage.setItem('s3:a?q=1', 'three')
  assert.equal(await storage.hasItem('s1:a'), true)
  assert.equal(await storage.getItem('s1:a'), 'one')
  assert.equal(await storage.getItem('s2:a'), 'two')
  assert.equal(await storage.getItem('s3:a?q=2'), 'three')
  assert.deepEqual(await sorted(storage.getKeys()), ['s1:a', 's2:a', 's3:a'])
  assert.deepEqual(await storage.getKeys('s1'), ['s1:a'])
  await storage.setItem('s1:b:c', 'deep')
  await storage.setItem('top', 'flat')
  assert.deepEqual(await storage.getKeys(undefined, { maxDepth: 0 }), ['top'])
  assert.deepEqual(await sorted(storage.getKeys(undefined, { maxDepth: 1 })), ['s1:a', 's2:a', 's3:a', 'top'])
  assert.deepEqual(await sorted(storage.getKeys('s1', { maxDepth: 2 })), ['s1:a', 's1:b:c'])
})

test('values come back as unstorage serialises them', async () => {
  const { storage } = open()
  class Named { toJSON() { return { as: 'told' } } }
  const values = [
    ['zero', 0], ['false', false], ['true', true], ['empty', ''], ['number', 12.5], ['text', 'plain'], ['null', null],
    ['object', { json: 'works', list: [1, null] }], ['array', [1, 'a']], ['named', new Named(), { as: 'told' }],
    ['text that looks like JSON', '{"a":1}', { a: 1 }], ['names', { prototype: 2, constructor: 1 }],
    ['surrogate', { half: '\ud800' }], ['controls', 'a\u0000\u0007b'], ['digits', '123456789012345678901234567890'],
  ]
  for (const [key, value, want = value] of values) {
    await storage.setItem(key, value)
    const got = await storage.getItem(key)
    assert.deepEqual(got, want, key)
  }
  class Plain {}
  await assert.rejects(storage.setItem('bad', new Plain()), /Cannot stringify/)
})

test('undefined removes', async () => {
  const { storage } = open()
  await storage.setItem('a', 'x')
  await storage.setItem('a', undefined)
  assert.equal(await storage.hasItem('a'), false)
})

test('raw values', async () => {
  const { storage } = open()
  const bytes = Uint8Array.from({ length: 256 }, (_, n) => n)
  await storage.setItemRaw('/data/raw.bin', bytes)
  assert.deepEqual(Uint8Array.from(await storage.getItemRaw('/data/raw.bin')), bytes)
})

test('several at once', async () => {
  const { storage } = open()
  await storage.setItems([{ key: 't:1', value: 'one' }, { key: 't:2', value: 'two' }])
  assert.deepEqual(await storage.getItems(['t:1', { key: 't:2?q=1' }, 't:3']), [
    { key: 't:1', value: 'one' }, { key: 't:2', value: 'two' }, { key: 't:3', value: null },
  ])
})

test('what was removed can be set again, at once', async () => {
  const { at, storage } = open()
  for (const value of ['one', 'two', 'three']) {
    await storage.setItem('s1:a', value)
    assert.equal(await storage.getItem('s1:a'), value)
    await storage.removeItem('s1:a')
    await storage.removeItem('s1:a')
    assert.equal(await storage.hasItem('s1:a'), false)
    assert.equal(await storage.getItem('s1:a'), null)
  }
  await storage.setItem('s1:a', 'four')
  await storage.clear()
  await storage.setItem('s1:a', 'five')
  assert.equal(await storage.getItem('s1:a'), 'five')

  const careful = createStorage({ driver: sessionApiDriver({ ...at, revive: false }) })
  await careful.setItem('s1:a', 'six')
  await careful.removeItem('s1:a')
  await assert.rejects(careful.setItem('s1:a', 'seven'), { name: 'SessionApiError', code: 'session_ended', httpStatus: 410 })
  assert.equal(await careful.getItem('s1:a'), null)
})

test('clear with a base clears what is below it', async () => {
  const { driver, storage } = open()
  const other = open()
  for (const key of ['a:1', 'a:b:2', 'ab:3', 'c']) await storage.setItem(key, key)
  await other.storage.setItem('a:1', 'of another namespace')
  await driver.clear('a:')
  assert.deepEqual(await sorted(storage.getKeys()), ['ab:3', 'c'])
  await storage.clear()
  assert.deepEqual(await storage.getKeys(), [])
  assert.equal(await other.storage.getItem('a:1'), 'of another namespace')
})

test('any string is a key', async () => {
  const { driver } = open()
  const keys = [
    '', 'a', 'ä 🙂', 'with space', 'a:b', 'a/b/../c', '%2e%2e', '\u0000', '"\\', 'x'.repeat(128), 'x'.repeat(129), 'y'.repeat(10_000),
    '__proto__', 'constructor', 'sha256-', 'sha256-ypeBEsobvcr6wjGzmiPcTaeG7_gUfE5yuYB3ha_uSLs', 'Case', 'case', randomUUID(), 'count', 'key$',
  ]
  for (const [n, key] of keys.entries()) await driver.setItem(key, `value ${n}`)
  for (const [n, key] of keys.entries()) {
    assert.equal(await driver.getItem(key), `value ${n}`, key.slice(0, 50))
    assert.equal(await driver.hasItem(key), true)
  }
  assert.deepEqual(await sorted(driver.getKeys()), keys.sort())
  for (const key of keys) await driver.removeItem(key)
  assert.deepEqual(await driver.getKeys(), [])
})

test('a key that is no Unicode can neither be set nor be there', async () => {
  const { driver } = open()
  await driver.setItem('\ufffd', 'x')
  for (const key of ['\ud800', 'a:\udfff']) {
    await assert.rejects(driver.setItem(key, 'y'), { name: 'SessionApiError', code: 'invalid_id' })
    assert.equal(await driver.getItem(key), null)
    assert.equal(await driver.hasItem(key), false)
    assert.equal(await driver.getMeta(key), null)
    await driver.removeItem(key)
  }
  assert.equal(await driver.getItem('\ufffd'), 'x')
})

test('a write that is answered 404 is an error, as is a missing service', async () => {
  const { driver } = open({ fetch: async () => Response.json({ code: 'session_not_found', detail: 'as if the id were wrong' }, { status: 404 }) })
  await assert.rejects(driver.setItem('koa:sess:x', 'x'), { code: 'session_not_found', httpStatus: 404 })
  const gateway = open({ fetch: async () => new Response('Not found', { status: 404 }) })
  await assert.rejects(gateway.driver.hasItem('a'), { code: 'unexpected_answer', httpStatus: 404 })
})

test('a key that can be an id is the id, others go by their digest', async () => {
  const { at, driver } = open()
  const key = randomUUID()
  await driver.setItem(key, 'x')
  assert.deepEqual((await call(at, 'GET', '/' + key)).body.meta, { key, value: 'x' })
  await driver.setItem('a', 'y')
  const id = 'sha256-ypeBEsobvcr6wjGzmiPcTaeG7_gUfE5yuYB3ha_uSLs' // printf a | openssl dgst -sha256 -binary | base64
  assert.deepEqual((await call(at, 'GET', '/' + id)).body.meta, { key: 'a', value: 'y' })
  assert.equal(await driver.getItem(id), null)
})

test('more keys than a page holds', async () => {
  const { driver } = open()
  const keys = Array.from({ length: 230 }, (_, n) => `n:${n}`)
  await Promise.all(keys.map((key) => driver.setItem(key, 'x')))
  assert.deepEqual(await sorted(driver.getKeys()), keys.sort())
})

test('items live for their ttl, in seconds', async () => {
  const { driver, storage } = open({ ttl: 600 })
  const rest = async (key) => (await driver.getMeta(key)).ttl
  const about = (s, wanted) => assert.ok(s <= wanted && s > wanted - 30, `${s} is about ${wanted}`)
  await storage.setItem('a', 'x')
  about(await rest('a'), 600)
  await storage.setItem('a', 'y', { ttl: 60 })
  about(await rest('a'), 60)
  await storage.setItem('a', 'y')
  about(await rest('a'), 600)
  await storage.setItem('a', 'y', { ttl: 365 * 86_400 })
  about(await rest('a'), 30 * 86_400)
  await storage.setItem('a', 'y', { ttl: 0 })
  about(await rest('a'), 600)
  await assert.rejects(storage.setItem('a', 'y', { ttl: -1 }), { name: 'TypeError', message: /ttl must be a positive number/ })
  await assert.rejects(storage.setItem('a', 'y', { ttl: '1h' }), { name: 'TypeError', message: /ttl must be a positive number/ })
  await storage.setItem('gone', 'z', { ttl: 0.3 })
  await until(async () => !(await storage.hasItem('gone')))
  await storage.setItem('gone', 'again', { ttl: 0.3 })
  assert.equal(await storage.getItem('gone'), 'again', 'what has expired can be set again at once')
  await until(async () => !(await storage.hasItem('gone')))
  assert.equal(await storage.getItem('gone'), null)
  assert.deepEqual(await storage.getKeys(), ['a'])
  about(await createStorage({ driver: open().driver }).setItem('b', 'x').then(() => 86_400), 86_400)
})

test('meta', async () => {
  const { driver, storage } = open()
  assert.equal(await driver.getMeta('a'), null)
  await storage.setItem('a', 'x')
  const { mtime, birthtime, ttl } = await storage.getMeta('a')
  assert.ok(mtime instanceof Date && birthtime instanceof Date && mtime >= birthtime)
  assert.ok(ttl > 86_000 && ttl <= 86_400)
  await storage.setMeta('a', { owner: 'ada' })
  assert.equal((await storage.getMeta('a')).owner, 'ada')
  assert.deepEqual(await storage.getKeys(), ['a'])
  await storage.removeItem('a', { removeMeta: true })
  assert.equal(await driver.getMeta('a'), null)
  assert.equal(await driver.hasItem('a$'), false)
})

test('mounts, prefixes and local watchers', async () => {
  const { driver } = open()
  const storage = createStorage()
  storage.mount('sessions', driver)
  const seen = []
  const unwatch = await storage.watch((event, key) => seen.push([event, key]))
  await prefixStorage(storage, 'sessions').setItem('a', 1)
  await storage.removeItem('sessions:a')
  assert.deepEqual(seen, [['update', 'sessions:a'], ['remove', 'sessions:a']])
  await unwatch()
  await storage.setItem('sessions:b', 2)
  assert.equal(await driver.getItem('b'), '2')
  assert.deepEqual(await storage.getKeys('sessions'), ['sessions:b'])
  await storage.unmount('sessions')
})

test('foreign sessions of the namespace are no items', async () => {
  const { at, storage } = open()
  const id = randomUUID()
  await call(at, 'PUT', '/' + id, { body: { meta: { other: true } } })
  assert.deepEqual(await storage.getKeys(), [])
  assert.equal(await storage.getItem(id), null)
})

test('a service that insists on preconditions says so', async () => {
  const { storage } = open({ url: services.strict })
  await assert.rejects(storage.setItem('a', 'x'), { code: 'precondition_required', httpStatus: 428 })
})

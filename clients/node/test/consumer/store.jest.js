// Jest as it comes: CommonJS, with a module registry of its own.
const { randomUUID } = require('node:crypto')
const session = require('express-session')
const { SessionApiStore, SessionApiError } = require('session-api-store/express')
const { default: sessionApiDriver } = require('session-api-store/unstorage')

const namespace = 'jest-' + randomUUID().slice(0, 13)

test('the store', async () => {
  const store = new SessionApiStore({ namespace })
  expect(store).toBeInstanceOf(session.Store)
  await store.set('koa:sess:1', { visits: 1 })
  expect(await store.get('koa:sess:1')).toEqual({ visits: 1 })
  await expect(new SessionApiStore({ namespace, token: 'w'.repeat(40) }).get('a')).rejects.toBeInstanceOf(SessionApiError)
})

test('the driver', async () => {
  const driver = sessionApiDriver({ namespace: namespace + '-d' })
  await driver.setItem('a', 'x')
  expect(await driver.getItem('a')).toBe('x')
})

test('a mock of it', async () => {
  jest.resetModules()
  jest.doMock('session-api-store/unstorage', () => ({ __esModule: true, default: () => ({ name: 'mocked' }) }))
  expect(require('session-api-store/unstorage').default().name).toBe('mocked')
})

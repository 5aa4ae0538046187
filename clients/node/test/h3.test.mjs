// An H3 app that keeps its sessions in unstorage, as Nitro apps do with useStorage.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { H3, deleteCookie, getCookie, setCookie } from 'h3'
import { toNodeHandler } from 'h3/node'
import { createStorage } from 'unstorage'
import sessionApiDriver from 'session-api-store/unstorage'
import { Browser, options, serve } from './service.mjs'

function app(t, at) {
  const sessions = createStorage({ driver: sessionApiDriver(at) })
  const h3 = new H3()
  h3.get('/visit', async (event) => {
    let id = getCookie(event, 'sid')
    let session = id && (await sessions.getItem(id))
    if (!session) {
      id = randomUUID()
      session = { visits: 0 }
      setCookie(event, 'sid', id, { httpOnly: true })
    }
    session.visits++
    await sessions.setItem(id, session, { ttl: 3600 })
    return `${session.visits}`
  })
  h3.post('/logout', async (event) => {
    await sessions.removeItem(getCookie(event, 'sid'))
    deleteCookie(event, 'sid')
    return 'bye'
  })
  return serve(t, toNodeHandler(h3))
}

test('an H3 app keeps its sessions over a restart, and ends them', async (t) => {
  const at = options()
  const visitor = new Browser()
  const first = await app(t, at)
  assert.equal((await visitor.ask(first.url + '/visit')).body, '1')
  assert.equal((await visitor.ask(first.url + '/visit')).body, '2')
  await first.stop()
  const second = await app(t, at)
  assert.equal((await visitor.ask(second.url + '/visit')).body, '3')
  const late = new Browser()
  late.cookies = new Map(visitor.cookies)
  assert.equal((await visitor.ask(second.url + '/logout', 'POST')).body, 'bye')
  assert.equal((await late.ask(second.url + '/visit')).body, '1')
})

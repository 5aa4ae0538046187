// The programs of the README run as they stand there: only the port is another.
import assert from 'node:assert/strict'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { Server } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { Browser, call, services } from './service.mjs'

const folder = new URL('readme/', import.meta.url)
const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
const programs = [...readme.matchAll(/^## ([^\n]*)\n|^```js\n(.*?)^```$/gms)].reduce((found, [, heading, text]) => {
  if (heading) found.heading = heading
  else found.push({ heading: found.heading, text })
  return found
}, [])

// A program listens where it likes; here that is on any free port.
const { listen } = Server.prototype
const servers = []
before(async () => {
  await mkdir(folder, { recursive: true })
  process.env.SESSION_API_URL ??= services.default
  Server.prototype.listen = function (port, ...more) {
    servers.push(this)
    const callback = more.findLast((argument) => typeof argument === 'function')
    return listen.call(this, { port: 0, host: '127.0.0.1' }, callback)
  }
})
after(async () => {
  Server.prototype.listen = listen
  for (const server of servers) server.close().closeAllConnections()
  await rm(folder, { recursive: true, force: true })
})

/** Runs the program of a heading and returns what it exports, and where it listens. */
async function start(heading, nth = 0) {
  const { text } = programs.filter((program) => program.heading === heading)[nth]
  const file = new URL(`${heading.replace(/\W+/g, '-')}${nth}.mjs`, folder)
  await writeFile(file, text)
  const first = servers.length
  const exports = await import(file.href)
  if (Object.keys(exports).length > 0) return { exports }
  while (!servers[first]?.listening) await new Promise((resolve) => setImmediate(resolve))
  return { url: `http://127.0.0.1:${servers[first].address().port}/` }
}

const visiting = ['Express', 'Fastify', 'Koa', 'H3, Nitro, Nuxt, anything with unstorage']
describe('the README', () => {
  test('has programs', () => {
    assert.deepEqual(programs.map(({ heading }) => heading), [...visiting, 'Only signed-in visitors', 'Only signed-in visitors'])
  })

  for (const heading of visiting) {
    test(heading, async () => {
      const { url } = await start(heading)
      const visitor = new Browser()
      for (const visits of [1, 2, 3]) assert.deepEqual(await visitor.ask(url), { status: 200, body: `visits: ${visits}` })
      assert.equal((await new Browser().ask(url)).body, 'visits: 1')
    })
  }

  test('Only signed-in visitors', async () => {
    const { url } = await start('Only signed-in visitors')
    const { exports } = await start('Only signed-in visitors', 1)
    const user = { id: 'ada', email: 'ada@example.org', roles: ['editor'] }
    const auth = { time: new Date().toISOString(), methods: ['pwd', 'otp'], level: 'aal2' }
    const stranger = new Browser()
    const visitors = {}
    for (const [name, who] of Object.entries({ known: user, strong: { ...user, auth } })) {
      const { body } = await call({ url: services.default, namespace: 'default' }, 'POST', '', { body: { user: who } })
      const [, cookie, value] = /^([^=]+)=([^;]*)/.exec(body.setCookie)
      visitors[name] = new Browser()
      visitors[name].cookies.set(cookie, value)
    }
    const { known, strong } = visitors
    for (const [visitor, path, status, text] of [
      [stranger, '', 200, /^Hello stranger$/],
      [known, '', 200, /^Hello ada@example.org$/],
      [stranger, 'account', 401, /no_credential/],
      [known, 'account', 200, /^Account of ada$/],
      [known, 'payment', 401, /insufficient_user_authentication/],
      [strong, 'payment', 200, /^Signed in by pwd and otp$/],
    ]) {
      const { status: got, body } = await visitor.ask(url + path)
      assert.equal(got, status, path)
      assert.match(body, text)
    }
    const cookie = [...known.cookies].map((pair) => pair.join('=')).join()
    const ask = async (headers) => exports.default.fetch(new Request('http://app.test/', { headers }))
    assert.deepEqual(await (await ask({ cookie })).json(), { hello: 'ada' })
    assert.equal((await ask({})).status, 401)
  })
})

// The running services that the tests work with; node_test.go starts them.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'

function needed(name) {
  assert.ok(process.env[name], `${name} is not set: run these tests with go test ./clients/node`)
  return process.env[name]
}

export const token = needed('SESSION_API_TOKEN')

/** As it is by default, and one that insists on preconditions (SESSION_REQUIRE_IF_MATCH). */
export const services = {
  default: needed('SESSION_API_URL'),
  strict: needed('SESSION_API_STRICT_URL'),
}

/** Options for a store of its own. */
export function options(more = {}) {
  return { url: services.default, token, namespace: 'test-' + randomUUID().slice(0, 13), ...more }
}

/** Asks the service itself, past the package. */
export async function call(at, method, path, { query, body, headers } = {}) {
  const search = new URLSearchParams({ namespace: at.namespace, ...query })
  const response = await fetch(`${at.url}/api/sessions${path}?${search}`, {
    method,
    headers: { Authorization: `Bearer ${token}`, ...(body && { 'Content-Type': 'application/json' }), ...headers },
    body: body && JSON.stringify(body),
  })
  const text = await response.text()
  return { status: response.status, body: text && JSON.parse(text) }
}

/** A fetch that keeps what it was asked. */
export function recorder() {
  const requests = []
  const record = async (url, init) => {
    const entry = { method: init.method, url: new URL(url), headers: new Headers(init.headers), body: init.body && JSON.parse(init.body) }
    requests.push(entry)
    const response = await fetch(url, init)
    entry.status = response.status
    return response
  }
  return { requests, fetch: record }
}

/** The store's methods as promises. */
export function promised(store) {
  const bound = (name) => promisify(store[name]).bind(store)
  return Object.fromEntries(['get', 'set', 'touch', 'destroy', 'all', 'length', 'clear', 'load'].map((name) => [name, bound(name)]))
}

/** Waits until ask answers something that is true. */
export async function until(ask) {
  const deadline = Date.now() + 60_000
  for (;;) {
    const answer = await ask()
    if (answer) return answer
    assert.ok(Date.now() < deadline, 'it does not happen: ' + ask)
    await delay(20)
  }
}

/** Serves on a free port until the test ends. */
export async function serve(t, handler) {
  const server = createServer(handler)
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const stop = () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections() })
  t.after(stop)
  return { url: `http://127.0.0.1:${server.address().port}`, stop }
}

/** A browser, as far as cookies go. */
export class Browser {
  cookies = new Map()

  async ask(url, method = 'GET') {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(url, { method, headers: cookie ? { cookie } : {} })
    for (const line of response.headers.getSetCookie()) {
      const [, name, value, attributes] = /^([^=]+)=([^;]*)(.*)$/.exec(line)
      if (/Max-Age=0|Expires=Thu, 01 Jan 1970/i.test(attributes)) this.cookies.delete(name)
      else this.cookies.set(name, value)
    }
    return { status: response.status, body: await response.text() }
  }
}

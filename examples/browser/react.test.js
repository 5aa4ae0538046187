// Uses the page that readme-app.js makes, in a real browser. PAGE_URL says where the page is,
// SESSION_API where the service is, SERVICE_TOKEN opens it, CHROMIUM is the browser.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { chromium } from 'playwright-core'

const { SESSION_API = 'http://127.0.0.1:8080', SERVICE_TOKEN = '', PAGE_URL = 'http://127.0.0.1:5173', CHROMIUM = '/usr/bin/chromium' } = process.env

let browser
before(async () => {
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu', '--disable-quic'] })
})
after(() => browser?.close())

/** A visitor who has never been here. */
async function visitor(t) {
  const context = await browser.newContext()
  t.after(() => context.close())
  context.setDefaultTimeout(20_000) // milliseconds for one step, on a busy machine
  return context
}

/** A tab of the visitor, and the methods that it sends to the service. */
async function open(context) {
  const tab = await context.newPage()
  const methods = []
  tab.on('request', (request) => request.url().startsWith(SESSION_API) && methods.push(request.method()))
  tab.on('pageerror', (error) => methods.push(`${error.name}: ${error.message}`))
  await tab.goto(PAGE_URL + '/')
  await tab.getByRole('textbox').waitFor()
  await tab.locator('output').filter({ hasText: '[' }).first().waitFor()
  return { tab, methods }
}

const shown = async (tab) => JSON.parse(await tab.locator('output').first().textContent())

async function sessions() {
  const response = await fetch(`${SESSION_API}/api/sessions/count`, { headers: { Authorization: `Bearer ${SERVICE_TOKEN}` } })
  return (await response.json()).count
}

test('a first visit makes one session, under StrictMode and with two components that want it', async (t) => {
  const before = await sessions()
  const { tab, methods } = await open(await visitor(t))
  assert.equal(await tab.evaluate('window.effects'), 2, 'StrictMode runs effects twice')
  assert.deepEqual(methods, ['POST'])
  assert.equal((await sessions()) - before, 1)
})

test('tabs that open at once have one session', async (t) => {
  const before = await sessions()
  const context = await visitor(t)
  const tabs = await Promise.all([open(context), open(context), open(context)])
  const ids = await Promise.all(tabs.map(async ({ tab }) => (await shown(tab))[0]))
  assert.deepEqual(new Set(ids).size, 1)
  assert.equal((await sessions()) - before, 1)
})

test('the wizard saves page after page, and survives a reload', async (t) => {
  const { tab, methods } = await open(await visitor(t))
  const [id] = await shown(tab)
  for (const model of ['small-2', 'large-2']) {
    await tab.getByRole('textbox').fill(model)
    await tab.getByRole('button', { name: 'Next' }).click()
    await tab.locator('output').filter({ hasText: model }).waitFor()
    await tab.getByRole('button', { name: 'Back' }).click()
    await tab.getByRole('textbox').waitFor()
    assert.equal(await tab.getByRole('textbox').inputValue(), model)
  }
  assert.deepEqual(methods, ['POST', 'PUT', 'PUT'])
  await tab.reload()
  await tab.getByRole('textbox').waitFor()
  assert.equal(await tab.getByRole('textbox').inputValue(), 'large-2')
  assert.deepEqual(await shown(tab), [id, 'large-2'])
})

test('saves of one page follow each other, and one that another tab was faster than is refused', async (t) => {
  const context = await visitor(t)
  const { tab } = await open(context)
  const { tab: other } = await open(context)
  await tab.evaluate(() => Promise.all([save('inputs', { n: 1 }), save('results', { n: 2 })]))
  const outcome = await other.evaluate(() => save('inputs', { n: 3 }).then(() => 'saved', (problem) => [problem.status, problem.code]))
  assert.deepEqual(outcome, [412, 'precondition_failed'])
  const { session } = await other.evaluate(() => load())
  assert.deepEqual([session.inputs, session.results], [{ n: 1 }, { n: 2 }])
  await other.evaluate(() => save('inputs', { n: 3 }))
})

test('what is read while somebody signs in does not replace their session', async (t) => {
  const context = await visitor(t)
  const { tab } = await open(context)
  const { tab: other } = await open(context)
  const before = await sessions()
  for (let round = 0; round < 40; round++) {
    const [signedIn, read] = await Promise.all([tab.evaluate(() => regenerate()), other.evaluate(() => window.read())])
    const now = await tab.evaluate(() => call('GET'))
    assert.equal(now.session.id, signedIn.session.id, `round ${round}`)
    assert.equal(read.session.createdAt, signedIn.session.createdAt, 'it is the same session')
  }
  assert.equal(await sessions(), before)
})

test('a session that ended is replaced by a new one', async (t) => {
  const context = await visitor(t)
  const { tab } = await open(context)
  const [id] = await shown(tab)
  await tab.evaluate(() => call('DELETE'))
  const refused = await tab.evaluate(() => save('inputs', {}).catch((problem) => problem.status))
  assert.equal(refused, 401)
  const { session } = await tab.evaluate(() => load())
  assert.notEqual(session.id, id)
})

// Uses the page of use-session-page.jsx in a real browser. PAGE_URL says where the page is, SESSION_API where
// the service is, CHROMIUM is the browser.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { chromium } from 'playwright-core'

const { SESSION_API = 'http://127.0.0.1:8080', PAGE_URL = 'http://127.0.0.1:5173', CHROMIUM = '/usr/bin/chromium' } = process.env

let browser
before(async () => {
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu', '--disable-quic'] })
})
after(() => browser?.close())

/** A tab, and the requests that it sends to the service. */
async function open(context) {
  const tab = await context.newPage()
  const requests = []
  tab.on('request', (request) => request.url().startsWith(SESSION_API) && requests.push([request.method(), request.postData()]))
  tab.on('pageerror', (error) => requests.push(`${error.name}: ${error.message}`))
  await tab.goto(PAGE_URL + '/')
  await tab.getByText('to do').waitFor()
  return { tab, requests }
}

async function add(tab, task) {
  await tab.getByRole('textbox').fill(task)
  await tab.getByRole('button', { name: 'Add' }).click()
  await tab.getByRole('checkbox', { name: task }).waitFor()
}

test('a page of two components on one session, in two tabs', async (t) => {
  const context = await browser.newContext()
  t.after(() => context.close())
  context.setDefaultTimeout(20_000) // milliseconds for one step, on a busy machine
  const [{ tab, requests }, { tab: other, requests: others }] = await Promise.all([open(context), open(context)])
  assert.deepEqual([requests, others], [[['POST', null]], [['POST', null]]], 'StrictMode and two components ask once')
  assert.equal(await tab.evaluate('session.current.id'), await other.evaluate('session.current.id'))
  requests.length = others.length = 0

  await add(tab, 'Tea')
  await tab.getByText('1 to do').waitFor()
  await add(other, 'Milk')
  assert.deepEqual(others.map(([method]) => method), ['POST', 'GET', 'POST'], 'the first tab was faster: the second begins again')
  assert.deepEqual(JSON.parse(others[2][1]), [{ op: 'add', path: '/inputs/tasks/-', value: { task: 'Milk', done: false } }])
  await other.getByText('2 to do').waitFor()

  await other.getByRole('checkbox', { name: 'Tea' }).click()
  await other.getByText('1 to do').waitFor()
  assert.deepEqual(JSON.parse(others[3][1]), [{ op: 'replace', path: '/inputs/tasks/0/done', value: true }])
  await tab.reload()
  await tab.getByText('1 to do').waitFor()
  assert.ok(await tab.getByRole('checkbox', { name: 'Tea' }).isChecked())

  await other.evaluate('session.end()')
  await other.getByText('Loading…').waitFor()
  await tab.getByRole('textbox').fill('Bread')
  await tab.getByRole('button', { name: 'Add' }).click()
  await tab.getByText('Loading…').waitFor()
  assert.equal(await tab.evaluate('session.current'), undefined)
})

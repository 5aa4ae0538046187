// Fills in the form in a real browser. PAGE_URL says where the page is,
// CHROMIUM where the browser is.
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { chromium } from 'playwright-core'

const { PAGE_URL = 'http://127.0.0.1:5173', CHROMIUM = '/usr/bin/chromium' } = process.env
const patience = 20_000 // milliseconds for one step, on a busy machine

const visitors = []
/** A browser of its own, that nobody has used before. */
async function visitor() {
  const userData = await mkdtemp(join(tmpdir(), 'form-test-'))
  const browser = await chromium.launchPersistentContext(userData, {
    executablePath: CHROMIUM,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
  visitors.push({ userData, browser })
  browser.setDefaultTimeout(patience)
  return browser
}
after(async () => {
  for (const { userData, browser } of visitors) {
    await browser.close()
    await rm(userData, { recursive: true, force: true })
  }
})

let browser, page
before(async () => {
  browser = await visitor()
  page = await browser.newPage()
})

/** Does something that the page saves, and waits until it has. */
async function saving(action) {
  const [response] = await Promise.all([page.waitForResponse((r) => r.request().method() === 'PATCH'), action()])
  assert.equal(response.status(), 200)
  await saved(page)
}
const saved = (page) => page.getByRole('status').filter({ hasText: /^Saved$/ }).waitFor()

test('a form on two pages survives reloads', async () => {
  await page.goto(PAGE_URL)
  await saved(page)
  await page.getByLabel('Name').fill('Ada')
  await saving(() => page.getByLabel('Question').focus()) // leaves the field

  // A half-filled first page.
  await page.reload()
  await saved(page)
  assert.equal(await page.getByLabel('Name').inputValue(), 'Ada')
  assert.equal(await page.getByLabel('Question').inputValue(), '')

  await page.getByLabel('Question').fill('Is the export complete?')
  await page.getByRole('button', { name: 'Next' }).click()
  await page.getByLabel('Model').waitFor()
  await saved(page)

  // The second page, with what the first one got.
  await page.reload()
  await saved(page)
  await saving(() => page.getByLabel('Model').selectOption('large-2'))
  await page.reload()
  await saved(page)
  assert.equal(await page.getByLabel('Model').inputValue(), 'large-2')
  await page.getByRole('button', { name: 'Back' }).click()
  await page.getByLabel('Name').waitFor()
  assert.equal(await page.getByLabel('Name').inputValue(), 'Ada')
  assert.equal(await page.getByLabel('Question').inputValue(), 'Is the export complete?')
  await page.getByRole('button', { name: 'Next' }).click()
  await page.getByRole('button', { name: 'Finish' }).click()
  await page.getByText('Thank you, Ada.').waitFor()
  await page.reload()
  await page.getByText('Thank you, Ada.').waitFor()
})

test('no script can read the cookie, and another visitor has another session', async () => {
  const [cookie] = await browser.cookies()
  assert.equal(cookie.name, 'validator_session_id')
  assert.ok(cookie.httpOnly)
  assert.equal(await page.evaluate('document.cookie'), '')

  const other = await (await visitor()).newPage()
  await other.goto(PAGE_URL)
  await saved(other)
  assert.equal(await other.getByLabel('Name').inputValue(), '')
})

test('starting again ends the session', async () => {
  const [before] = await browser.cookies()
  await page.getByRole('button', { name: 'Start again' }).click()
  await page.getByLabel('Name').waitFor()
  assert.equal(await page.getByLabel('Name').inputValue(), '')
  const [now] = await browser.cookies()
  assert.notEqual(now.value, before.value)
})

// The page at /docs. SESSION_API is a service without service tokens.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from './browser.js'

const { SESSION_API } = process.env

/** The page, with its routes. */
async function docs(browser) {
  const page = await browser.newPage()
  const complaints = []
  page.on('console', (message) => complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(String(error)))
  await page.goto(`${SESSION_API}/docs`)
  await page.locator('.opblock').first().waitFor()
  return { page, complaints }
}

/** Opens routes and their forms, as clicks do. */
async function unfold(page, routes) {
  const click = (buttons) => page.evaluate((buttons) => document.querySelectorAll(buttons).forEach((b) => b.click()), buttons)
  const count = await page.locator(routes).count()
  await click(`${routes} .opblock-summary-control`)
  await page.locator(`${routes} .try-out__btn`).nth(count - 1).waitFor()
  await click(`${routes} .try-out__btn`)
  await page.locator(`${routes} .execute`).nth(count - 1).waitFor()
}

test('what one wants first comes first', async (t) => {
  const browser = await open(t, { viewport: { width: 1280, height: 800 } })
  const { page, complaints } = await docs(browser)
  const steps = await page.locator('#first-steps').innerText()
  assert.equal(steps, `curl -c jar -X POST ${SESSION_API}/api/session\ncurl -b jar -c jar ${SESSION_API}/api/session`)
  for (const route of ['createSession', 'getSession']) {
    const box = await page.locator(`#operations-Session-${route}`).boundingBox()
    assert.ok(box.y + box.height <= 800, `${route} is on the first screen`)
  }
  const introduction = page.getByRole('heading', { name: 'Credentials' })
  assert.equal(await introduction.isVisible(), false)
  await page.locator('.introduction > summary').click()
  assert.equal(await introduction.isVisible(), true)
  assert.deepEqual(complaints, [])
})

test('a padlock is closed where a credential was given, and only there', async (t) => {
  const { page } = await docs(await open(t))
  const closed = () => page.locator('.opblock .authorization__btn.locked').count()
  assert.equal(await closed(), 0)
  await page.locator('.auth-wrapper .authorize').click()
  const service = page.locator('.auth-container').filter({ hasText: 'serviceToken' })
  await service.locator('input').fill('a token')
  await service.getByRole('button', { name: 'Apply credentials' }).click()
  await page.locator('.opblock .authorization__btn.locked').nth(12).waitFor()
  assert.equal(await page.locator('#operations-Session-getSession .authorization__btn.locked').count(), 0)
})

test('it fits a telephone, with everything unfolded', async (t) => {
  const browser = await open(t, { viewport: { width: 390, height: 844 } })
  const { page } = await docs(browser)
  const fits = async (what) => {
    const width = await page.evaluate('document.documentElement.scrollWidth')
    assert.ok(width <= 390, `${what}: ${width} px`)
  }
  await fits('as it opens')
  await page.locator('.introduction > summary').click()
  await fits('with the introduction')
  await page.locator('.introduction > summary').click()
  await unfold(page, '.opblock')
  await fits('with every route')
  await page.locator('section.models .models-control').click()
  await fits('with the schemas')
})

// Whoever opens a route, tries it out and executes it, changing nothing but the
// id in the path, is answered by success.
test('every route can be tried out as it is filled in', async (t) => {
  const { page } = await docs(await open(t))
  const post = (path) =>
    page.evaluate(async (path) => (await fetch(path, { method: 'POST' })).json(), path)
  const unlike = { 'operations-Sessions-deleteSessions': 400 } // nobody said whose sessions
  const tried = []
  for (const block of await page.locator('.opblock').all()) {
    const id = await block.getAttribute('id')
    if (id === 'operations-Sessions-streamEvents') continue // does not end
    await post('/api/session')
    await unfold(page, `#${id}`)
    const field = block.locator('tr[data-param-name="id"] input')
    if (await field.count()) await field.fill((await post('/api/sessions')).session.id)
    const [response] = await Promise.all([
      page.waitForResponse((response) => response.request().method() !== 'OPTIONS'),
      page.evaluate((id) => document.querySelector(`#${id} .execute`).click(), id),
    ])
    const request = response.request()
    const sent = `${request.method()} ${request.url()} ${request.postData() ?? ''}`
    if (unlike[id]) assert.equal(response.status(), unlike[id], sent)
    else assert.ok(response.ok(), `${id}: ${response.status()} ${sent}`)
    tried.push(id)
  }
  assert.ok(tried.length > 25, String(tried.length))
})

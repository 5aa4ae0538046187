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

/** Clicks on something of a route, and waits for what that shows. */
async function click(page, route, button, shown) {
  await page.evaluate((button) => document.querySelector(button).click(), `#${route} ${button}`)
  await page.locator(`#${route} ${shown}`).first().waitFor({ state: 'attached' })
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
  const padlocks = (state) => `[aria-label="authorization button ${state}"]`
  assert.equal(await page.locator(`.opblock ${padlocks('locked')}`).count(), 0)
  assert.ok((await page.locator(`.opblock ${padlocks('unlocked')}`).count()) > 20)
  await page.locator('.auth-wrapper .authorize').click()
  const service = page.locator('.auth-container').filter({ hasText: 'serviceToken' })
  await service.locator('input').fill('a token')
  await service.getByRole('button', { name: 'Apply credentials' }).click()
  await page.locator(`.opblock ${padlocks('locked')}`).nth(12).waitFor()
  assert.equal(await page.locator(`#operations-Session-getSession ${padlocks('locked')}`).count(), 0)
})

// Whoever opens a route, tries it out and executes it, changing nothing but the
// id in the path, is answered by success; and all of it fits a telephone. These
// are the routes with the most to fill in: what every example of the contract
// does when it is sent, the tests of internal/api try.
const routes = [
  'Session-createSession',
  'Session-patchSession',
  'Session-applyOperations',
  'Session-deleteSession',
  'Gateways-verifySession',
  'Sessions-listSessions',
  'Sessions-patchSessionById',
  'Sessions-deleteSessionById',
  'Sessions-streamEvents',
].map((name) => `operations-${name}`)

test('routes can be tried out as they are filled in, on a telephone too', async (t) => {
  const { page } = await docs(await open(t, { viewport: { width: 390, height: 844 } }))
  const fits = async (what) => {
    const width = await page.evaluate('document.documentElement.scrollWidth')
    assert.ok(width <= 390, `${what}: ${width} px`)
  }
  await fits('as it opens')
  await page.locator('.introduction > summary').click()
  await fits('with the introduction')
  await page.locator('.introduction > summary').click()

  const post = (path) =>
    page.evaluate(async (path) => (await fetch(path, { method: 'POST' })).json(), path)
  for (const route of routes) {
    t.diagnostic(route) // so that a failure shows where it was
    await post('/api/session')
    await click(page, route, '.opblock-summary-control', '.try-out__btn')
    await click(page, route, '.try-out__btn', '.execute')
    await fits(route)
    if (!route.endsWith('-streamEvents')) { // it would not end
      const field = page.locator(`#${route} tr[data-param-name="id"] input`)
      if (await field.count()) {
        await field.fill((await post('/api/sessions')).session.id)
        await field.blur() // what is typed counts a moment later, or when the field is left
      }
      const [response] = await Promise.all([
        page.waitForResponse(() => true),
        click(page, route, '.execute', '.live-responses-table'),
      ])
      const request = response.request()
      const sent = `${request.method()} ${request.url()} ${request.postData() ?? ''}`
      assert.ok(response.ok(), `${route}: ${response.status()} ${sent}`)
      await fits(`${route}, answered`)
    }
    await click(page, route, '.opblock-summary-control', '.opblock-summary')
  }
  await page.locator('section.models .models-control').click()
  await fits('with the schemas')
})

// Chromium, for tests. CHROMIUM says where it is.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const patience = 60_000 // milliseconds for one step, on a busy machine

/** A browser that nobody has used before, until the test ends. */
export async function open(t, { args = [], ...options } = {}) {
  const userData = await mkdtemp(join(tmpdir(), 'browser-test-'))
  const browser = await chromium.launchPersistentContext(userData, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      ...args,
    ],
    ...options,
  })
  browser.setDefaultTimeout(patience)
  t.after(async () => {
    await browser.close()
    await rm(userData, { recursive: true, force: true })
  })
  return browser
}

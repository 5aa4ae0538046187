// Chromium, for tests. CHROMIUM says where it is.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { chromium } from 'playwright-core'

const patience = 60_000 // milliseconds for one step, on a busy machine

const settings = ({ args = [], ...options } = {}) => ({
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

const launch = (options) => chromium.launch(settings(options))

// The process of all tests of a file that start it in the same way: it takes far
// longer to start than most tests take.
let shared
after(async () => (await shared)?.close())

/**
 * What nobody has used before, until the test ends: a context with cookies and
 * caches of its own. Options of the context, such as viewport, are options; those
 * of the process, args and ignoreDefaultArgs, give the test a process of its own.
 */
export async function open(t, { args, ignoreDefaultArgs, ...options } = {}) {
  const own = args !== undefined || ignoreDefaultArgs !== undefined
  const browser = await (own ? launch({ args, ignoreDefaultArgs }) : (shared ??= launch()))
  const context = await browser.newContext(options)
  context.setDefaultTimeout(patience)
  t.after(() => (own ? browser.close() : context.close()))
  return context
}

/** A browser with a profile of its own on the disk, as one that somebody else uses, until the test ends. */
export async function openProfile(t) {
  const directory = await mkdtemp(join(tmpdir(), 'profile-'))
  let context
  // One hook: the browser writes to its profile until it has ended, and even then its processes may for a moment.
  t.after(async () => {
    await context?.close()
    await rm(directory, { recursive: true, force: true, maxRetries: 10 })
  })
  context = await chromium.launchPersistentContext(directory, settings())
  context.setDefaultTimeout(patience)
  return context
}

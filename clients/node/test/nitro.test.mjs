// Nitro apps of both major versions whose storage is set as the README says, built and run.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { cp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Browser, call, options, services, token, until } from './service.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))

const nitropack = createRequire(join(root, 'node_modules/nitropack/package.json'))

const majors = {
  2: {
    core: 'nitropack/core',
    handler: `
      import { defineEventHandler, getCookie, setCookie } from '${nitropack.resolve('h3')}' // its own
      import { useStorage } from 'nitropack/runtime'
      export default defineEventHandler(visit)`,
  },
  3: {
    core: 'nitro',
    handler: `
      import { defineHandler, getCookie, setCookie } from 'nitro/h3'
      import { useStorage } from 'nitro/runtime'
      export default defineHandler(visit)`,
  },
}

const visit = `
  async function visit(event) {
    const sessions = useStorage('sessions')
    const id = getCookie(event, 'sid') ?? 'visitor:' + crypto.randomUUID()
    const { visits } = (await sessions.getItem(id)) ?? { visits: 0 }
    await sessions.setItem(id, { visits: visits + 1 }, { ttl: 3600 })
    setCookie(event, 'sid', id, { httpOnly: true })
    return String(visits + 1)
  }`

const readme = await readFile(join(root, 'README.md'), 'utf8')

/** The nitro.config.ts that the README shows for a major version. */
function config(major) {
  const [, code] = new RegExp(`^In Nitro ${major}\\b.*?^\`\`\`ts\n(.*?)^\`\`\`$`, 'ms').exec(readme)
  assert.ok(code.includes("'shop'") && code.includes('storage'))
  return code
}

/** Runs a script to its end, with these variables beside those of any process. */
async function script(code, cwd, variables) {
  const { SESSION_API_URL, SESSION_API_TOKEN, ...env } = process.env
  try {
    await promisify(execFile)(process.execPath, ['--input-type=module', '-e', code], { cwd, env: { ...env, ...variables } })
  } catch (error) {
    assert.fail(`${error.message}\n${error.stdout}${error.stderr}`)
  }
}

// Beside Nitro, which asks for it while it builds.
const installed = join(root, 'node_modules/session-api-store')
before(async () => {
  await rm(installed, { recursive: true, force: true })
  await mkdir(installed)
  for (const name of ['dist', 'package.json']) await cp(join(root, name), join(installed, name), { recursive: true })
})
after(() => rm(installed, { recursive: true, force: true }))

for (const [major, { core, handler }] of Object.entries(majors)) {
  test(`a Nitro ${major} app is built without the token, and keeps its sessions with it`, async (t) => {
    const app = join(root, `test/nitro${major}`)
    await rm(app, { recursive: true, force: true })
    t.after(() => rm(app, { recursive: true, force: true }))
    await mkdir(app)
    await writeFile(join(app, 'package.json'), '{ "private": true, "type": "module" }')
    await writeFile(join(app, 'visit.mjs'), handler + visit)

    const { namespace } = options()
    const settings = {
      rootDir: app,
      preset: 'node-server',
      compatibilityDate: '2026-01-01',
      telemetry: false,
      handlers: [{ route: '/visit', handler: join(app, 'visit.mjs') }],
    }
    await writeFile(join(app, 'nitro.config.ts'), config(major).replace("'shop'", `'${namespace}'`))
    // The token is there while the app is built, as it may be on a developer's machine.
    await script(`
      import { build, copyPublicAssets, createNitro, prepare } from '${core}'
      const nitro = await createNitro(${JSON.stringify(settings)})
      await prepare(nitro)
      await copyPublicAssets(nitro)
      await build(nitro)
      await nitro.close()`, app, { SESSION_API_URL: 'http://127.0.0.1:1', SESSION_API_TOKEN: token, NODE_ENV: 'production' })
    for (const file of await readdir(join(app, '.output'), { recursive: true, withFileTypes: true })) {
      if (file.isFile()) assert.ok(!(await readFile(join(file.parentPath, file.name), 'utf8')).includes(token), `${file.name} holds the token`)
    }

    const url = await serveOutput(t, app)
    const visitor = new Browser()
    assert.equal((await visitor.ask(url + '/visit')).body, '1')
    assert.equal((await visitor.ask(url + '/visit')).body, '2')
    assert.equal((await new Browser().ask(url + '/visit')).body, '1')
    const { sessions } = (await call({ url: services.default, namespace }, 'GET', '')).body
    assert.deepEqual(sessions.map(({ meta }) => JSON.parse(meta.value).visits).sort(), [1, 2])
  })
}

/** Runs a built app on a port that was free a moment ago. Nitro does not say which port it got. */
async function serveOutput(t, app) {
  const port = await new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
  const env = { ...process.env, NITRO_HOST: '127.0.0.1', NITRO_PORT: String(port), HOST: '127.0.0.1', PORT: String(port), SESSION_API_URL: services.default, SESSION_API_TOKEN: token }
  const server = spawn(process.execPath, [join(app, '.output/server/index.mjs')], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(() => server.kill('SIGKILL'))
  let printed = ''
  for (const stream of [server.stdout, server.stderr]) stream.on('data', (text) => (printed += text))
  t.after(() => t.diagnostic(printed))
  const url = `http://127.0.0.1:${port}`
  await until(() => {
    assert.equal(server.exitCode, null, printed)
    return fetch(url).then(() => true, () => false)
  })
  return url
}

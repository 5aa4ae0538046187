// The package as it would be published, for ES modules and CommonJS.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import * as modules from 'session-api-client'

const root = fileURLToPath(new URL('../..', import.meta.url)) // this file is compiled into test/.build
const run = (program: string, ...args: string[]) => execFileSync(program, args, { cwd: root, encoding: 'utf8' })

test('publint finds nothing', () => {
  assert.match(run('node_modules/.bin/publint', 'run', '--strict'), /All good!/)
})

test('the types are right wherever they are looked for', () => {
  const found: unknown = JSON.parse(run('node_modules/.bin/attw', '--pack', '.', '--format', 'json'))
  assert.ok(found instanceof Object && 'problems' in found)
  assert.deepEqual(found.problems, {})
})

test('CommonJS gets what ES modules get', async () => {
  const required: typeof modules = createRequire(import.meta.url)('session-api-client')
  assert.deepEqual(Object.keys(required).sort(), Object.keys(modules).sort())
  const fetch = async ({ headers }: Request) => Response.json({ got: headers.get('Authorization') })
  const { data } = await required.createSessionClient({ baseUrl: 'http://service.test', token: () => 's:x', fetch }).GET('/api/session')
  assert.deepEqual(data, { got: 'Bearer s:x' })
})

test('a CommonJS program in TypeScript', () => {
  const app = join(root, 'test/.build/commonjs')
  rmSync(app, { recursive: true, force: true })
  mkdirSync(join(app, 'node_modules'), { recursive: true })
  symlinkSync(root, join(app, 'node_modules/session-api-client'))
  copyFileSync(join(root, 'test/commonjs.cts'), join(app, 'app.cts'))
  for (const settings of [['--module', 'commonjs', '--moduleResolution', 'node10'], ['--module', 'node16']]) {
    run('node_modules/.bin/tsc', join(app, 'app.cts'), '--noEmit', '--strict', '--skipLibCheck', '--target', 'es2022', '--types', 'node', '--rootDir', '.', ...settings)
  }
})

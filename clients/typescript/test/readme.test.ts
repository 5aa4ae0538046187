// The examples of the README print what stands beside them.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { format } from 'node:util'
import './service.js' // says what is missing without a service

const folder = new URL('generated/readme/', import.meta.url)
const names = readdirSync(folder).filter((name) => name.endsWith('.js'))

test('there are five examples', () => assert.equal(names.length, 5))

for (const name of names) {
  test(`${name} of the README`, async (t) => {
    const text = readFileSync(new URL(`../generated/readme/${name.replace('.js', '.ts')}`, import.meta.url), 'utf8')
    const prints = [...text.matchAll(/(?:console\.log|here\.update).*?\) *\)* \/\/ (.*)$/gm)].flatMap(([, printed]) => printed!.split(/, (?=visits)/))
    const log = t.mock.method(console, 'log', () => {})
    await import(new URL(name, folder).href)
    const printed = log.mock.calls.map((call) => format(...call.arguments))
    log.mock.restore()
    assert.ok(prints.length > 0)
    assert.deepEqual(printed, prints)
  })
}

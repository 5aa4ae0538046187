// Writes each example of the README to a file of its own, so that it is compiled and run with the tests.
// Only the address is replaced.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
const examples = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, text]) => text)

mkdirSync(new URL('generated/readme', import.meta.url), { recursive: true })
for (const [n, text] of examples.entries()) {
  const local = text.replaceAll("'https://sessions.example.com'", "process.env['SESSION_API_URL']!")
  writeFileSync(new URL(`generated/readme/example${n + 1}.ts`, import.meta.url), local)
}

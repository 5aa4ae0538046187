// Makes clients with other generators that read openapi.yaml, as their users
// would: with the settings that they begin with.
import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createClient } from '@hey-api/openapi-ts'
import { generate } from 'orval'

const at = (path) => fileURLToPath(new URL(path, import.meta.url))
const contract = at('../../../openapi.yaml')

for (const old of ['generated', '.build']) rmSync(at(old), { recursive: true, force: true })

await createClient({
  input: contract,
  output: { path: at('generated/hey-api'), tsConfigPath: at('tsconfig.json') },
  logs: { level: 'warn' },
})
await generate({
  input: contract,
  output: { target: at('generated/orval.ts'), client: 'fetch', baseUrl: { runtime: 'process.env.SESSION_API_URL' } },
})

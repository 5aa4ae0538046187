// Prints the script of use-session-page.jsx, with the TypeScript client of this checkout. SESSION_API says
// where the service is.
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const { SESSION_API = 'http://127.0.0.1:8080' } = process.env
const at = (path) => fileURLToPath(new URL(path, import.meta.url))

const { outputFiles } = await build({
  entryPoints: [at('use-session-page.jsx')],
  bundle: true,
  write: false,
  format: 'esm',
  jsx: 'automatic',
  alias: { 'session-api-client': at('../../clients/typescript/index.js') },
  define: { SESSION_API: JSON.stringify(SESSION_API), 'process.env.NODE_ENV': '"development"' },
  logLevel: 'warning',
})
process.stdout.write(outputFiles[0].text)

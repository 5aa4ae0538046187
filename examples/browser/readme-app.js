// Prints the script of a page that uses the frontend code of the README as it stands there, below
// React's StrictMode. SESSION_API says where the service is: its address is all that is replaced.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { build } from 'esbuild'

const { SESSION_API = 'http://127.0.0.1:8080' } = process.env

/** The README's blocks about frontends. */
async function readme() {
  const text = await readFile(new URL('../../README.md', import.meta.url), 'utf8')
  const [, section] = /\n## From a browser frontend\n(.*?)\n## /s.exec(text)
  const block = (language) => section.match(new RegExp(`(?<=^\`\`\`${language}\n).*?(?=^\`\`\`$)`, 'gms')).join('\n')
  const url = 'http://localhost:8080'
  const plain = block('js')
  assert.ok(plain.includes(url))
  return plain.replace(url, SESSION_API) + block('jsx')
}

const app = `
  import { StrictMode, useEffect, useState } from 'react'
  import { createRoot } from 'react-dom/client'

  function Summary() {
    const [session] = useSession()
    useEffect(() => { window.effects = (window.effects ?? 0) + 1 }, [])
    return <output>{session && JSON.stringify([session.id, session.apiConfig.model ?? ''])}</output>
  }
  function App() {
    const [page, setPage] = useState(1)
    return <>
      {page === 1 ? <ModelPage next={() => setPage(2)} /> : <Summary />}
      <button onClick={() => setPage(1)}>Back</button>
    </>
  }
  Object.assign(window, { call, load, read, regenerate, save })
  createRoot(document.getElementById('root')).render(<StrictMode><App /><Summary /></StrictMode>)
`

const { outputFiles } = await build({
  stdin: { contents: (await readme()) + app, loader: 'jsx', resolveDir: import.meta.dirname },
  bundle: true,
  write: false,
  format: 'esm',
  jsx: 'automatic',
  logLevel: 'warning',
})
process.stdout.write(outputFiles[0].text)

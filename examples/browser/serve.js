// Serves the page. SESSION_API says where the service is; the service has to
// know this origin, in ALLOWED_ORIGINS.
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'

const { PORT = '5173', SESSION_API = 'http://127.0.0.1:8080' } = process.env
const read = (name) => readFile(new URL(name, import.meta.url), 'utf8')

const files = {
  '/': ['text/html', async () => (await read('index.html')).replace('http://127.0.0.1:8080', () => SESSION_API)],
  '/form.js': ['text/javascript', () => read('form.js')],
}

const server = createServer(async (request, response) => {
  const [type, body] = files[request.url] ?? []
  if (!body) return response.writeHead(404).end()
  response.writeHead(200, {
    'Content-Type': `${type}; charset=utf-8`,
    'Content-Security-Policy': `default-src 'self'; style-src 'unsafe-inline'; connect-src ${SESSION_API}`,
  })
  response.end(await body())
})
server.listen(Number(PORT), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`)
})

// What one would write for the same with express-session: a document in the
// session of a cookie, read whole, and changed by one key.
import { RedisStore } from 'connect-redis'
import express from 'express'
import session from 'express-session'
import { createClient } from 'redis'

const { SESSION_SECRET = '', REDIS_URL = '' } = process.env
let store // express-session's own MemoryStore
if (REDIS_URL) {
  const client = createClient({ url: REDIS_URL })
  await client.connect()
  store = new RedisStore({ client, prefix: 'express:', ttl: 86400 })
}

const app = express()
app.disable('x-powered-by')
app.use(session({
  secret: SESSION_SECRET,
  store,
  resave: false,
  saveUninitialized: false,
  cookie: { maxAge: 86400_000, httpOnly: true, sameSite: 'lax' },
}))
app.post('/session', express.json({ limit: '1mb' }), (req, res) => {
  req.session.document = req.body
  res.status(201).json(req.session.document)
})
app.get('/session', (req, res) => {
  if (req.session.document) res.json(req.session.document)
  else res.status(401).end()
})
app.patch('/session', express.json({ limit: '1mb' }), (req, res) => {
  if (!req.session.document) return res.status(401).end()
  Object.assign(req.session.document.inputs, req.body.inputs)
  res.json(req.session.document)
})

const server = app.listen(0, '127.0.0.1', (error) => {
  if (error) throw error
  const { address, port } = server.address()
  console.log(JSON.stringify({ msg: 'listening', addr: `${address}:${port}` }))
})
process.on('SIGTERM', () => process.exit(0))

// An Express app beside session-api: both know the secret, so this app can tell
// a forged cookie from a real one by itself, and asks for the session only then.
import { parse } from 'cookie'
import { unsign } from 'cookie-signature'
import express from 'express'

const { SESSION_API = 'http://127.0.0.1:8080', SESSION_SECRET = '', SERVICE_TOKEN = '', PORT = '3002' } = process.env
// In production its name is __Host-validator_session_id; session-api says it when it starts.
const { COOKIE_NAME = 'validator_session_id' } = process.env
// The first secret signs, all of them verify: so they can be changed.
const secrets = SESSION_SECRET.split(',').filter(Boolean)
if (secrets.length === 0) throw new Error('Set SESSION_SECRET to that of session-api.')

/** The id in the cookie, if its signature is right: s:<id>.<signature>. */
function sessionId(req) {
  const token = parse(req.headers.cookie ?? '')[COOKIE_NAME]
  if (!token?.startsWith('s:')) return null
  for (const secret of secrets) {
    const id = unsign(token.slice(2), secret)
    if (id) return id
  }
  return null
}

/** One request to session-api, by id and with the service token. Null if there is no such session, or no longer. */
async function ask(id, method, query = '', body = undefined) {
  const response = await fetch(`${SESSION_API}/api/sessions/${id}${query}`, {
    method,
    headers: { Authorization: `Bearer ${SERVICE_TOKEN}`, 'Content-Type': 'application/json' },
    body: body === undefined ? null : JSON.stringify(body),
    signal: AbortSignal.timeout(5000),
  })
  const answer = await response.json()
  if (['session_not_found', 'session_ended'].includes(answer.code)) return null
  if (!response.ok) throw new Error(`session-api: ${answer.code}: ${answer.detail}`)
  return answer
}

/** Puts the session into req.session, or answers 401. */
async function needsSession(req, res, next) {
  const id = sessionId(req)
  // Being here is a use of the session: it stays alive.
  req.session = id && (await ask(id, 'GET', '?touch=true'))
  if (req.session) next()
  else res.status(401).json({ error: 'Sign in first.' })
}

const app = express()
app.disable('x-powered-by')
app.get('/me', needsSession, (req, res) => {
  res.json({ user: req.session.user, theme: req.session.meta.theme ?? 'light' })
})
app.put('/theme', needsSession, express.json(), async (req, res) => {
  const theme = String(req.body?.theme ?? 'light')
  // A merge: what others change in the session at the same time stays changed.
  const changed = await ask(req.session.id, 'PATCH', '', { meta: { theme } })
  if (changed) res.json({ theme: changed.meta.theme })
  else res.status(401).json({ error: 'Sign in first.' }) // it ended meanwhile
})

const server = app.listen(Number(PORT), '127.0.0.1', (error) => {
  if (error) throw error
  console.log(`listening on http://127.0.0.1:${server.address().port}`)
})

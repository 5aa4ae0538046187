// What the generated types are, checked by the compiler: nothing here runs.
import type { components, IssuedSession, NewSession, Problem, ProblemCode, Session, SessionClient, SessionInput, User } from 'session-api-client'

/** Whether two types are one; `any` is only itself. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

declare function check<_ extends true>(): void
declare const client: SessionClient

export async function types() {
  const read = await client.GET('/api/session')
  if (read.data) check<Same<typeof read.data, Session>>()
  else check<Same<typeof read.error, Problem>>()

  const created = await client.POST('/api/session')
  if (created.data) {
    check<Same<typeof created.data.token, string | undefined>>()
    const issued: IssuedSession = created.data
    const session: Session = issued
    void session
  }
  const patched = await client.PATCH('/api/session', { body: { user: null, inputs: null, ttlMs: 1 } })
  if (patched.data) check<Same<typeof patched.data, Session>>()
  const ended = await client.DELETE('/api/session')
  if (ended.error) check<Same<typeof ended.error, Problem>>()
  const listed = await client.GET('/api/sessions', { params: { query: { userId: 'u-1', limit: 10 } } })
  if (listed.data) {
    check<Same<typeof listed.data.sessions, Session[]>>()
    check<Same<typeof listed.data.nextCursor, string | undefined>>()
  }

  // @ts-expect-error: it is called inputs
  const misspelt: SessionInput = { input: {} }
  void misspelt
  // @ts-expect-error: only a new session takes it
  const late: SessionInput = { remember: true }
  void late
  check<Same<NewSession['remember'], boolean | undefined>>()

  check<Same<Session['user'], User | null>>()
  check<Same<Session['inputs'], { [key: string]: unknown }>>()
  check<Same<Session['revision'], number>>()
  check<Same<Session['version'], 1>>()
  check<Same<Problem['code'], ProblemCode>>()
  check<Same<User, { id: string; email: string; roles: string[]; auth?: components['schemas']['Authentication'] }>>()
  check<Same<Extract<ProblemCode, 'session_ended'>, 'session_ended'>>()
  check<Same<string extends ProblemCode ? true : false, false>>()
}

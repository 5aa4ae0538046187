// Compiled, never run.
import { createSessionClient, etag, type Session } from 'session-api-client'

const client = createSessionClient({ token: async () => 's:x', headers: new Headers({ 'X-Tenant': 'a' }) })
export async function revision(): Promise<[number, string] | undefined> {
  const { data, response } = await client.GET('/api/session')
  const session: Session | undefined = data
  return session && [session.revision, etag(response)]
}

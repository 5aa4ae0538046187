// Compiled, never run.
import { createSession, createSessionClient, etag, SignedOutError, type Session, type SessionHandle } from 'session-api-client'

const client = createSessionClient({ token: async () => 's:x', headers: new Headers({ 'X-Tenant': 'a' }) })
export async function revision(): Promise<[number, string] | undefined> {
  const { data, response } = await client.GET('/api/session')
  const session: Session | undefined = data
  return session && [session.revision, etag(response)]
}

interface Basket { inputs: { step: number } }
const own: SessionHandle<Basket> = createSession<Basket>({ transport: 'bearer' })
export const step = own.update((draft) => draft.inputs.step++).catch((error: unknown) => error instanceof SignedOutError && error.code)

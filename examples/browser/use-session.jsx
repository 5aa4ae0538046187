// A hook on top of createSession, for pages that keep what the visitor does in the session.
import { useEffect, useSyncExternalStore } from 'react'

/**
 * The session of a handle, undefined until it is loaded and after it has ended, and what changes it.
 * All components that use one handle show the same; the page asks for it once.
 */
export function useSession(session) {
  const current = useSyncExternalStore(session.subscribe, () => session.current, () => undefined)
  useEffect(() => {
    session.load().catch(() => {}) // whoever wants to tell the visitor calls load as well
  }, [session])
  return [current, session.update]
}

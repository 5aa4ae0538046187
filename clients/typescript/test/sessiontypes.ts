// What the types of a session's handle are, checked by the compiler: nothing here runs.
import { createSession, isSessionApiError, SessionApiError, type Draft, type SessionHandle, type TypedSession, type User } from 'session-api-client'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
declare function check<_ extends true>(): void

interface Inputs {
  step: number
  files: { name: string }[]
}

export async function types(error: unknown) {
  const session = createSession<{ inputs: Inputs; meta: { theme?: 'light' | 'dark' } }>({ baseUrl: new URL('http://service.test') })
  const { inputs, meta, results, user, id, revision } = await session.reload()
  check<Same<typeof inputs.step, number>>()
  check<Same<typeof meta.theme, 'light' | 'dark' | undefined>>()
  check<Same<typeof results, { readonly [x: string]: unknown }>>()
  check<Same<typeof id, string>>()
  check<Same<typeof revision, number>>()
  check<Same<NonNullable<typeof user>['roles'], readonly string[]>>()
  check<Same<typeof session.current, TypedSession<{ inputs: Inputs; meta: { theme?: 'light' | 'dark' } }> | undefined>>()
  // @ts-expect-error: what was read is not changed
  inputs.step = 2
  // @ts-expect-error: at no depth
  inputs.files[0]!.name = 'a'
  // @ts-expect-error: nor is an element added
  inputs.files.push({ name: 'a' })

  await session.update((draft) => {
    draft.inputs.step++
    draft.inputs.files.push({ name: 'a' })
    draft.results['n'] = 1
    check<Same<typeof draft.user, User | null>>()
    // @ts-expect-error: there is no such theme
    draft.meta.theme = 'blue'
    // @ts-expect-error: only sections change
    draft.revision = 1
  })
  await session.load({ meta: { theme: 'dark' }, ttlMs: 1000, remember: true }, { signal: AbortSignal.timeout(1000) })
  await session.regenerate({ remember: false })
  // @ts-expect-error: it is a number
  await session.load({ inputs: { step: '1', files: [] } })

  const untyped: SessionHandle = createSession()
  check<Same<(typeof untyped)['current'], TypedSession | undefined>>()
  check<Same<Draft['inputs'], { [key: string]: unknown }>>()
  // @ts-expect-error: it is called inputs
  createSession<{ input: {}; meta: {} }>()
  // @ts-expect-error: a section is an object
  createSession<{ meta: string }>()

  if (isSessionApiError(error, 'too_large', 'timeout')) check<Same<typeof error.code, 'too_large' | 'timeout'>>()
  // @ts-expect-error: there is no such code
  isSessionApiError(error, 'to_large')
  if (error instanceof SessionApiError && error.code === 'validation_failed') error.errors[0]?.pointer.charAt(0)
}

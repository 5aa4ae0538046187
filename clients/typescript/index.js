import createFetchClient from 'openapi-fetch'

/** Makes a client of the service. The types are in index.d.ts. */
export function createSessionClient({ token, headers, ...options } = {}) {
  return createFetchClient({
    // A browser sends and keeps the cookie, on another origin too.
    credentials: 'include',
    ...options,
    headers: token === undefined ? headers : { Authorization: `Bearer ${token}`, ...headers },
  })
}

/** The ETag of an answer, for If-Match. */
export function etag({ response }) {
  const tag = response.headers.get('ETag')
  if (tag === null) throw new TypeError('the answer has no ETag')
  return tag
}

// The session holds all that the form knows: which page it is on and what was
// typed. A reload reads it back; this page stores nothing itself.
const api = document.querySelector('meta[name="session-api"]').content + '/api/session'
const form = document.getElementById('form')
const status = document.getElementById('status')

async function call(method, body, headers = {}) {
  const response = await fetch(api, {
    method,
    credentials: 'include', // the cookie, which no script can read
    headers: body ? { 'Content-Type': 'application/json', ...headers } : headers,
    body: body && JSON.stringify(body),
  })
  if (response.status === 204) return null
  const answer = await response.json()
  if (!response.ok) throw Object.assign(new Error(answer.detail), { status: answer.status })
  return answer
}

/** The visitor's session, or a new one, in one request. */
const load = () => call('POST', undefined, { 'If-None-Match': '*' })

function show(session) {
  const page = session.meta.page ?? 1
  const values = { ...session.inputs, ...session.apiConfig }
  for (const field of form.elements) if (field.name) field.value = values[field.name] ?? ''
  for (const fieldset of form.querySelectorAll('fieldset')) {
    // What is disabled need not be filled in.
    fieldset.hidden = fieldset.disabled = Number(fieldset.dataset.page) !== page
  }
  form.hidden = page > 2
  document.getElementById('summary').hidden = page <= 2
  document.getElementById('who').value = session.inputs.name ?? ''
  status.textContent = 'Saved'
}

// One change after the other: the answer that is shown is the last one's.
let last = Promise.resolve()
function save(work) {
  status.textContent = 'Saving…'
  last = last.then(work).catch((problem) => {
    status.textContent = `Not saved: ${problem.message}`
  })
}

/** A merge patch with what a field holds, in the section where it belongs. */
function change(field) {
  return { [field.name === 'model' ? 'apiConfig' : 'inputs']: { [field.name]: field.value } }
}

// A field is saved when it is left, so that a half-filled page survives too.
form.addEventListener('change', (event) => {
  save(async () => {
    await call('PATCH', change(event.target))
    status.textContent = 'Saved'
  })
})
form.addEventListener('submit', (event) => {
  event.preventDefault()
  const page = Number(form.querySelector('fieldset:not([hidden])').dataset.page) + 1
  save(async () => show(await call('PATCH', { meta: { page } })))
})
document.getElementById('back').addEventListener('click', () => {
  save(async () => show(await call('PATCH', { meta: { page: 1 } })))
})
document.getElementById('again').addEventListener('click', () => {
  save(async () => {
    await call('DELETE')
    show(await call('POST'))
  })
})

// Tabs that open at once wait for each other, so that the first makes the session of them all.
save(async () => show(await (navigator.locks?.request('session', load) ?? load())))

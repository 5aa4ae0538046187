// A page of two components that use one session.
import { StrictMode, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { createSession, PreconditionFailedError, SignedOutError } from 'session-api-client'
import { useSession } from './use-session.jsx'

const session = createSession({ baseUrl: SESSION_API })
const start = { text: '', tasks: [] }

function Tasks() {
  const [current, update] = useSession(session)
  const [failure, setFailure] = useState('')
  if (!current) return <p>Loading…</p>
  const { text, tasks } = { ...start, ...current.inputs }
  const change = (work) =>
    update(({ inputs }) => work(Object.assign(inputs, { ...start, ...inputs }))).then(
      () => setFailure(''),
      (error) => {
        if (error instanceof SignedOutError) setFailure('You are signed out.')
        else if (error instanceof PreconditionFailedError) setFailure('Somebody else is faster. Try again.')
        else setFailure(error.message)
      },
    )
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        const task = new FormData(event.target).get('task')
        event.target.reset()
        change((inputs) => inputs.tasks.push({ task, done: false }))
      }}
    >
      <ul>
        {tasks.map(({ task, done }, n) => (
          <li key={n}>
            <label>
              <input type="checkbox" checked={done} onChange={() => change((inputs) => { inputs.tasks[n].done = !done })} />
              {task}
            </label>
          </li>
        ))}
      </ul>
      <input name="task" aria-label="Task" required />
      <button>Add</button>
      <p role="alert">{failure}</p>
    </form>
  )
}

function Count() {
  const [current] = useSession(session)
  return <output>{current ? `${current.inputs.tasks?.filter(({ done }) => !done).length ?? 0} to do` : ''}</output>
}

window.session = session
createRoot(document.getElementById('root')).render(
  <StrictMode>
    <Tasks />
    <Count />
  </StrictMode>,
)

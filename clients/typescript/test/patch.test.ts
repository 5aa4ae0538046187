// What update sends: the operations that make one document of another.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSession, type JsonPatchOperation } from 'session-api-client'
import { document, recorder } from './fake.js'

/** The operations that a change of inputs sends. */
async function sent(before: object, after: object): Promise<JsonPatchOperation[]> {
  const { fetch, requests } = recorder([document({ inputs: before }), document({ inputs: after }, 2)])
  const session = createSession<{ inputs: Record<string, unknown> }>({ baseUrl: 'http://service.test', fetch })
  await session.update((draft) => {
    draft.inputs = { ...after }
  })
  const body = requests[1]?.body
  return body === undefined ? [] : JSON.parse(body)
}

const cases: [name: string, before: object, after: object, want: JsonPatchOperation[]][] = [
  ['nothing', { a: [1, { b: null }] }, { a: [1, { b: null }] }, []],
  ['an order of members', { a: 1, b: 2 }, { b: 2, a: 1 }, []],
  ['a member', { step: 1, a: 'x'.repeat(50) }, { step: 2, a: 'x'.repeat(50) }, [{ op: 'replace', path: '/inputs/step', value: 2 }]],
  ['a new member', { a: 1 }, { a: 1, b: null }, [{ op: 'add', path: '/inputs/b', value: null }]],
  ['one member less', { a: 'some text', b: 1 }, { a: 'some text' }, [{ op: 'remove', path: '/inputs/b' }]],
  ['names that need escapes', { 'a/b': 'x'.repeat(50), '~': 1 }, { 'a/b': 'x'.repeat(50), '~': 2 }, [{ op: 'replace', path: '/inputs/~0', value: 2 }]],
  ['an element at the end', { a: ['a.csv', 'b.csv'] }, { a: ['a.csv', 'b.csv', 'c.csv'] }, [{ op: 'add', path: '/inputs/a/-', value: 'c.csv' }]],
  [
    'an element within an element',
    { a: [{ n: 1, text: 'x'.repeat(50) }, { n: 2 }] },
    { a: [{ n: 7, text: 'x'.repeat(50) }, { n: 2 }] },
    [{ op: 'replace', path: '/inputs/a/0/n', value: 7 }],
  ],
  [
    'elements here and there',
    { a: ['first of all', 'second of all', 'third of all', 'fourth of all', 'fifth of all', 'sixth of all', 'and so on and so on and so on'] },
    { a: ['second of all', 'third of all', 'new', 'fourth of all', 'sixth of all', 'and so on and so on and so on'] },
    [
      { op: 'remove', path: '/inputs/a/0' },
      { op: 'add', path: '/inputs/a/2', value: 'new' },
      { op: 'remove', path: '/inputs/a/4' },
    ],
  ],
  ['what is shorter as a whole', { a: [1, 2, 3] }, { a: [4, 5, 6] }, [{ op: 'replace', path: '/inputs/a', value: [4, 5, 6] }]],
  ['an array in place of an object', { long: 'x'.repeat(50), a: { 0: 1 } }, { long: 'x'.repeat(50), a: [1] }, [{ op: 'replace', path: '/inputs/a', value: [1] }]],
]
for (const [name, before, after, want] of cases) {
  test(`a patch of ${name}`, async () => assert.deepEqual(await sent(before, after), want))
}

test('dates are texts, and what has no value is not there', async () => {
  const day = new Date(0)
  assert.deepEqual(await sent({ gone: 1, long: 'x'.repeat(50) }, { long: 'x'.repeat(50), gone: undefined, day }), [
    { op: 'remove', path: '/inputs/gone' },
    { op: 'add', path: '/inputs/day', value: day.toISOString() },
  ])
})

test('more operations than the service takes become whole sections', async () => {
  const long = 'x'.repeat(200)
  const numbers = (add: number) => Object.fromEntries(Array.from({ length: 1001 }, (_, n) => [`n${n}`, { n: n + add, long }]))
  const operations = await sent(numbers(0), numbers(1))
  assert.deepEqual(operations.map(({ op, path }) => [op, path]), [['replace', '/inputs']])
})

/** Applies operations by the letter of RFC 6902. */
function apply(target: unknown, operations: JsonPatchOperation[]): unknown {
  const root = { inputs: structuredClone(target) }
  for (const { op, path, value } of operations) {
    const names = path.split('/').slice(1).map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'))
    const last = names.pop()!
    const at: any = names.reduce((value: any, name) => value[name], root)
    const index = Array.isArray(at) && last === '-' ? at.length : Number(last)
    if (Array.isArray(at)) {
      assert.ok(index >= 0 && index <= at.length - (op === 'add' ? 0 : 1), `${op} ${path} is outside`)
      at.splice(index, op === 'add' ? 0 : 1, ...(op === 'remove' ? [] : [value]))
    } else {
      if (op !== 'add') assert.ok(Object.hasOwn(at, last), `${op} ${path}: there is nothing`)
      if (op === 'remove') delete at[last]
      else at[last] = value
    }
  }
  return root.inputs
}

/** Numbers that look random, the same in each run. */
function numbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return Math.floor((state / 2_147_483_648) * below)
  }
}

test('patches of any two documents do what they should, and are no longer than the document', async () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = numbers(seed)
    const value = (depth: number): unknown => {
      const kind = random(depth > 3 ? 4 : 6)
      if (kind === 4) return Array.from({ length: random(6) }, () => value(depth + 1))
      if (kind === 5) return object(depth)
      return [null, random(3), 'text '.repeat(random(4)), true][kind]
    }
    const object = (depth: number) => Object.fromEntries(Array.from({ length: random(5) }, () => ['abc~/'.charAt(random(5)), value(depth + 1)]))
    const [before, after] = [object(0), object(0)]
    const operations = await sent(before, after)
    assert.deepEqual(apply(before, operations), after, `seed ${seed}`)
    const whole = [{ op: 'replace', path: '/inputs', value: after }]
    assert.ok(JSON.stringify(operations).length <= JSON.stringify(whole).length, `seed ${seed}`)
  }
})

test('arrays that are too long to be compared in full', async () => {
  const before = { a: Array.from({ length: 700 }, (_, n) => `element ${n}`), long: 'x'.repeat(100_000) }
  const after = { ...before, a: before.a.toReversed().toSpliced(100, 200) }
  assert.deepEqual(apply(before, await sent(before, after)), after)
})

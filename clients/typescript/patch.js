/**
 * The operations of a JSON Patch (RFC 6902) that turn one JSON value into another. They are few and
 * short, but not proven to be the fewest: `move` and `copy` are not looked for. Members keep no order.
 */
export function diff(before, after, path = '') {
  if (before === after) return []
  const operations = inside(before, after, path)
  const whole = [{ op: 'replace', path, value: after }]
  return operations && (size(operations) < size(whole) || resendsDigits(before, after)) ? operations : whole
}

/**
 * Whether to send a value whole would send numbers again that may have had more digits in the document
 * than a number of JavaScript keeps: fractions, and integers beyond 2^53.
 */
function resendsDigits(before, after) {
  const known = new Set(inexact(before))
  return known.size > 0 && inexact(after).some((number) => known.has(number))
}

function inexact(value) {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? [] : [value]
  return isContainer(value) ? Object.values(value).flatMap(inexact) : []
}

/** Whether two JSON values are the same. */
export function same(a, b) {
  if (a === b) return true
  if (!isContainer(a) || !isContainer(b) || Array.isArray(a) !== Array.isArray(b)) return false
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && same(a[name], b[name]))
}

const isContainer = (value) => typeof value === 'object' && value !== null

const size = (operations) => JSON.stringify(operations).length

/** The way to a member, as a JSON Pointer (RFC 6901). */
const below = (path, name) => `${path}/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`

/** The operations below a path; undefined where only the whole can be replaced. */
function inside(before, after, path) {
  if (!isContainer(before) || !isContainer(after) || Array.isArray(before) !== Array.isArray(after)) return undefined
  return Array.isArray(before) ? ofArrays(before, after, path) : ofObjects(before, after, path)
}

function ofObjects(before, after, path) {
  const operations = []
  for (const name of Object.keys(before)) {
    if (!Object.hasOwn(after, name)) operations.push({ op: 'remove', path: below(path, name) })
  }
  for (const name of Object.keys(after)) {
    const at = below(path, name)
    if (Object.hasOwn(before, name)) operations.push(...diff(before[name], after[name], at))
    else operations.push({ op: 'add', path: at, value: after[name] })
  }
  return operations
}

/** Elements that stay are left alone; what lies between two of them is changed, removed and added. */
function ofArrays(before, after, path) {
  const operations = []
  let [from, to] = [0, 0] // the first elements that are not dealt with yet
  for (const [kept, keptTo] of [...common(before, after), [before.length, after.length]]) {
    while (from < kept && to < keptTo) operations.push(...diff(before[from++], after[to], below(path, to++)))
    for (; from < kept; from++) operations.push({ op: 'remove', path: below(path, to) })
    for (; to < keptTo; to++) {
      const end = from === before.length
      operations.push({ op: 'add', path: below(path, end ? '-' : to), value: after[to] })
    }
    from = kept + 1
    to = keptTo + 1
  }
  return operations
}

/** How many comparisons are worth a shorter patch. */
const maxComparisons = 250_000

/** The longest sequence of elements that both arrays have, as pairs of their indexes. */
function common(before, after) {
  const a = before.map((element) => canonical(element))
  const b = after.map((element) => canonical(element))
  let start = 0
  while (start < a.length && start < b.length && a[start] === b[start]) start++
  let ends = 0
  while (ends < a.length - start && ends < b.length - start && a[a.length - 1 - ends] === b[b.length - 1 - ends]) ends++
  const pairs = Array.from({ length: start }, (_, n) => [n, n])
  pairs.push(...between(a.slice(start, a.length - ends), b.slice(start, b.length - ends)).map(([i, j]) => [i + start, j + start]))
  for (let n = ends; n > 0; n--) pairs.push([a.length - n, b.length - n])
  return pairs
}

/** The longest common subsequence of texts, by dynamic programming; of too many none. */
function between(a, b) {
  const width = b.length + 1
  if (a.length * b.length > maxComparisons) return []
  const lengths = new Uint32Array((a.length + 1) * width)
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      lengths[i * width + j] =
        a[i] === b[j] ? lengths[(i + 1) * width + j + 1] + 1 : Math.max(lengths[(i + 1) * width + j], lengths[i * width + j + 1])
    }
  }
  const pairs = []
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) pairs.push([i++, j++])
    else if (lengths[(i + 1) * width + j] >= lengths[i * width + j + 1]) i++
    else j++
  }
  return pairs
}

/** The JSON of a value, with members in order. */
function canonical(value) {
  return JSON.stringify(value, (_, member) =>
    isContainer(member) && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  )
}

/** What an option may be, and how an error puts it. */
export interface Rule {
  is: string
  holds: (value: any) => boolean
}

const positive = (value: unknown): boolean => typeof value === 'number' && value > 0 && Number.isFinite(value)

export const seconds: Rule = { is: 'a positive number of seconds', holds: positive }
/** A timer takes no more: what is longer would end at once. */
export const milliseconds: Rule = {
  is: 'a positive number of milliseconds, 2147483647 at most',
  holds: (value) => positive(value) && value <= 2147483647,
}
export const count: Rule = { is: 'a whole number, 0 or more', holds: (value) => Number.isInteger(value) && value >= 0 }
export const func: Rule = { is: 'a function', holds: (value) => typeof value === 'function' }
export const bool: Rule = { is: 'true or false', holds: (value) => typeof value === 'boolean' }
export const address: Rule = {
  is: 'an http or https URL without credentials or a query',
  holds(value) {
    if (!URL.canParse(value)) return false
    const { protocol, username, password, search } = new URL(value)
    return /^https?:$/.test(protocol) && !username && !password && !search
  },
}
export const credential: Rule = {
  is: 'a text of visible ASCII characters; is there a line break at its end?',
  holds: (value) => typeof value === 'string' && /^[\x21-\x7e]*$/.test(value),
}
const group: Rule = {
  is: '1 to 32 of a-z, 0-9 and -',
  holds: (value) => typeof value === 'string' && /^[a-z0-9-]{1,32}$/.test(value),
}

/** The options that every adapter has. */
export const connectRules = { url: address, token: credential, namespace: group, timeout: milliseconds, retries: count, fetch: func }

/**
 * Throws a TypeError that names the first option that is not one, or is not what its rule says. An
 * option that is undefined counts as absent. `foreign` says, of options that other stores have, what
 * to do here; one that is false asks for nothing and passes. No message quotes a value: it may be a
 * secret.
 */
export function check(options: unknown, rules: Record<string, Rule>, foreign: Record<string, string>): void {
  if (typeof options !== 'object' || options === null) throw new TypeError('session-api: the options must be an object')
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue
    if (Object.hasOwn(foreign, name)) {
      if (value === false) continue
      throw new TypeError(`session-api: there is no option ${name}: ${foreign[name]}`)
    }
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined
    if (!rule) throw new TypeError(`session-api: there is no option ${name}; there are ${Object.keys(rules).join(', ')}`)
    hold(name, rule, value)
  }
}

/** Throws a TypeError with the name where a value is not what the rule says. */
export function hold(name: string, rule: Rule, value: unknown): void {
  if (!rule.holds(value)) throw new TypeError(`session-api: ${name} must be ${rule.is}`)
}

/**
 * A variable of the process, undefined where it is empty or there is no process. Its name is not
 * written out as `process.env.NAME`, which bundlers replace by the value that it has when they run.
 */
export function variable(name: string): string | undefined {
  return globalThis.process?.env?.[name] || undefined
}

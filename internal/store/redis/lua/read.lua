-- KEYS: a session. ARGV: now. Reads its deadline and its value in one step.
return {DONE, redis.call('PEXPIRETIME', KEYS[1]), redis.call('GET', KEYS[1])}

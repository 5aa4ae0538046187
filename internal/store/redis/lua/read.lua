-- KEYS: a session, its grace. Reads both in one step.
return {DONE, redis.call('PEXPIRETIME', KEYS[1]), redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])}

-- KEYS: a session, and perhaps its grace. ARGV: now. Reads the session's deadline,
-- its value and where its grace leads to, in one step.
local to = #KEYS > 1 and beside(2)
return {DONE, redis.call('PEXPIRETIME', KEYS[1]), redis.call('GET', KEYS[1]), to or ''}

-- KEYS: a session. ARGV: now; how many bytes of the value's first part are wanted, and
-- of its last. Reads the deadline, the length of the value and these parts, in one
-- step.
local key = KEYS[1]
return {
  DONE, redis.call('PEXPIRETIME', key), tostring(redis.call('STRLEN', key)),
  redis.call('GETRANGE', key, 0, ARGV[2] - 1), redis.call('GETRANGE', key, -ARGV[3], -1)
}

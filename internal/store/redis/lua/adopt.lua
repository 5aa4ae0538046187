-- KEYS: a session that another program wrote. ARGV: now, the SHA-1 of its value,
-- a value, its deadline. Replaces the one by the other.
local value = redis.call('GET', KEYS[1])
if not value then
  return {ABSENT}
end
if redis.sha1hex(value) ~= ARGV[2] then
  return {CHANGED}
end
redis.call('SET', KEYS[1], ARGV[3], 'PXAT', ARGV[4])
return {DONE}

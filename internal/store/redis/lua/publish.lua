-- KEYS: a session that is pending, its grace. ARGV: now, its stamp. It becomes
-- what it is to be; once more does nothing.
local s, none = look(KEYS[1], 7)
if not s then
  return none
end
if (s.birth or s.index) ~= ARGV[2] then
  return {ABSENT}
end
if s.pending then
  local value = redis.call('GET', KEYS[1])
  redis.call('SET', KEYS[1], string.sub(value, 20), 'PXAT', ms(tonumber(string.sub(value, 5, 19))))
  redis.call('DEL', KEYS[2])
end
return {DONE}

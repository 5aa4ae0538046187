-- KEYS: a session. ARGV: now. Frees it if it has expired, and otherwise answers
-- its deadline and its version.
local s, none = inspect(KEYS[1], 7)
if not s then
  return none
end
if s.expired then
  redis.call('DEL', KEYS[1])
  return {ABSENT}
end
return {DONE, s.at, s.index}

-- KEYS: a session that is pending. ARGV: now, its version. Nothing will come of it.
local s, none = look(KEYS[1], 7)
if not s then
  return none
end
if not s.pending or s.index ~= ARGV[2] then
  return {CHANGED}
end
redis.call('DEL', KEYS[1])
return {DONE}

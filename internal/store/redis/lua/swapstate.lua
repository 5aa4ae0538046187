-- KEYS: a state. ARGV: now, whether there is an old one, the old one, whether there is a
-- next one, the next one.
-- Answers DONE, or CHANGED where the state is not the old one.
local kept = redis.call('GET', KEYS[1])
if (kept and '1' or '') ~= ARGV[2] or (kept and kept ~= ARGV[3]) then
  return {CHANGED}
end
if ARGV[4] ~= '' then
  redis.call('SET', KEYS[1], ARGV[5])
else
  redis.call('DEL', KEYS[1])
end
return {DONE}

-- KEYS: a lease. ARGV: now, its token.
if redis.call('GET', KEYS[1]) ~= ARGV[2] then
  return {CHANGED}
end
redis.call('DEL', KEYS[1])
return {DONE}

-- KEYS: a lease. ARGV: now, its token, for how long from now on by the
-- server's clock.
if redis.call('GET', KEYS[1]) ~= ARGV[2] then
  return {CHANGED}
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {DONE}

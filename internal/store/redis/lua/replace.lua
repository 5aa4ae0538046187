-- KEYS: a session, its tombstone. ARGV: now, the value that the session must have, the
-- new value, the deadline, unless the present one is later; how long the tombstone
-- lasts after it. Answers the deadline.
local at = redis.call('PEXPIRETIME', KEYS[1])
if at <= now or redis.pcall('GET', KEYS[1]) ~= ARGV[2] then
  return {CHANGED}
end
local deadline = tonumber(ARGV[4])
if deadline > at then
  redis.call('SET', KEYS[1], ARGV[3], 'PXAT', ARGV[4])
  set_expiry_tombstone(KEYS[2], deadline, ARGV[5])
else
  deadline = at
  redis.call('SET', KEYS[1], ARGV[3], 'KEEPTTL')
end
if publish then
  publish('updated', KEYS[1], ARGV[3], ms(deadline))
end
return done(deadline)

-- KEYS: a session, its tombstone. ARGV: now, deadline, how long the tombstone
-- lasts after it. Answers the deadline and the value.
local s, none = look(KEYS[1], 7)
if not s then
  return none
end
if s.pending then
  return {ABSENT}
end
local deadline = math.min(tonumber(ARGV[2]), now + s.idle)
local value = redis.call('GET', KEYS[1])
if deadline > s.at then
  redis.call('PEXPIREAT', KEYS[1], ms(deadline))
  set_expiry_tombstone(KEYS[2], deadline, ARGV[3])
  publish('touched', KEYS[1], value, ms(deadline))
else
  deadline = s.at
end
return done(deadline, value)

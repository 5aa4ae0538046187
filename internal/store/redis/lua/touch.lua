-- KEYS: a session, its tombstone. ARGV: now, deadline, how long the tombstone
-- lasts after it. Answers the deadline and the value.
local at = redis.call('PEXPIRETIME', KEYS[1])
if at <= now and at ~= -1 then
  return {ABSENT}
end
local value = redis.call('GET', KEYS[1])
local mark, idle = string.sub(value, 1, 4), nil
if mark == '\0new' then
  return {ABSENT}
end
if at ~= -1 and string.find(value, '^{"id":"', mark == '\0zst' and 5 or 1) then
  -- The trailer starts where this stands last. It is rarely longer than that.
  local from = string.find(value, ',"stored":{', -200, true) or string.find(value, ',"stored":{', -1300, true)
  while from and not idle do
    idle = string.match(value, '"index":"[%w_%-]+"[^{}]*"idleMs":(%d+)[^{}]*}}$', from)
    from = string.find(value, ',"stored":{', from + 1, true)
  end
end
if not idle then
  return redis.error_reply('FOREIGN the key holds no session')
end
local deadline = math.min(tonumber(ARGV[2]), now + idle)
if deadline <= at then
  return done(at, value)
end
redis.call('PEXPIREAT', KEYS[1], ms(deadline))
set_expiry_tombstone(KEYS[2], deadline, ARGV[3])
if publish then
  publish('touched', KEYS[1], value, ms(deadline))
end
return done(deadline, value)

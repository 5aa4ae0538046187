-- KEYS: a session that is pending, its grace, its tombstone. ARGV: now, its
-- life, the id that it succeeds, how long the tombstone lasts after the
-- deadline. It becomes what it is to be; once more does
-- nothing.
local s, none = look(KEYS[1], 7)
if not s then
  return none
end
if (s.birth or s.index) ~= ARGV[2] then
  return {ABSENT}
end
if s.pending then
  local value = redis.call('GET', KEYS[1])
  local deadline = ms(tonumber(string.sub(value, 5, 19)))
  redis.call('SET', KEYS[1], string.sub(value, 20), 'PXAT', deadline)
  put('DEL', KEYS[2])
  set_expiry_tombstone(KEYS[3], deadline, ARGV[4])
  if publish then
    publish('regenerated', KEYS[1], value, deadline, ARGV[3])
  end
end
return done()

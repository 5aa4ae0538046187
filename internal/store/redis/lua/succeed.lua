-- KEYS: a session, its grace, its tombstone; its successor, which is pending, and the
-- same of it. ARGV: now, ten of end_old, the successor's life, the id that it succeeds,
-- how long its tombstone lasts after the deadline, the labels of a client of another
-- family, empty for the same. Ends the session and makes the
-- successor what it is to be. Answers as move does.
local next = look(KEYS[4], 7)
if not next then
  return {CHANGED}
end
if not next.pending or (next.birth or next.index) ~= ARGV[12] then
  return {CHANGED}
end
local value = publish and ARGV[15] ~= '' and redis.call('GET', KEYS[1])
local s, old = end_old(KEYS[1], KEYS[2], KEYS[3])
if not s then
  return old
end
if value then
  publish('client_changed', KEYS[1], value, ms(s.at), ARGV[15])
end
publish_pending(KEYS[4], KEYS[5], KEYS[6], ARGV[13], ARGV[14])
return done(s.index, old, s.files or '')

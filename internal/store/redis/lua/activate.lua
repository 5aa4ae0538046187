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
  publish_pending(KEYS[1], KEYS[2], KEYS[3], ARGV[3], ARGV[4])
end
return done()

-- KEYS: a session, its tombstone. ARGV: now, where createdAt stands, createdAt,
-- the end of the session's longest life, how long the tombstone lasts after the
-- deadline. Brings the deadline within that life, and frees the session where
-- that is over. Answers the deadline and the version.
local s, none = inspect(KEYS[1], ARGV[2] + #ARGV[3])
if not s then
  return none
end
local over = tonumber(ARGV[4])
if s.pending or not has(s, ARGV[2], ARGV[3]) then
  return {CHANGED}
end
if s.at > over then
  set_expiry_tombstone(KEYS[2], over, ARGV[5])
  if over <= now then
    redis.call('DEL', KEYS[1])
  else
    redis.call('PEXPIREAT', KEYS[1], ARGV[4])
  end
  s.at = over
end
return done(s.at, s.index)

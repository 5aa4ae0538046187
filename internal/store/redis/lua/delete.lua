-- KEYS: a session, its tombstone. ARGV: now, where the revision stands, the
-- revision with its comma, empty for any; a version, empty for any; the end of the
-- tombstone, empty for none. Answers the value that was.
local s, none = look(KEYS[1], ARGV[2] + #ARGV[3])
if not s then
  return none
end
if ARGV[4] ~= '' then
  if s.pending then
    return {PENDING}
  end
  if s.index ~= ARGV[4] then
    return {CHANGED}
  end
end
if not has(s, ARGV[2], ARGV[3]) then
  return {CHANGED}
end
local value = redis.call('GET', KEYS[1])
set_tombstone(KEYS[2], ARGV[5])
redis.call('DEL', KEYS[1])
if not s.pending then -- otherwise its creation was not published
  if publish then
    publish('deleted', KEYS[1], value, '')
  end
end
return done(value)

-- KEYS: a session, its grace, its tombstone. ARGV: now, six of unchanged, the
-- digest of what its entry is taken for, the end of the grace, what the grace
-- leads to, the end of the tombstone, empty for none. Ends the session. Answers
-- its version, its value where its entry is another, and its file versions.
local s, none = look(KEYS[1], ARGV[2] + #ARGV[3])
if not s then
  return none
end
if s.pending then
  return {ABSENT}
end
if not unchanged(s) then
  return {CHANGED}
end
local old = ''
if string.sub(s.index, 1, #ARGV[8]) ~= ARGV[8] then
  old = redis.call('GET', KEYS[1])
end
if tonumber(ARGV[9]) > now then
  put('SET', KEYS[2], ARGV[10], 'PXAT', ARGV[9])
else
  put('DEL', KEYS[2])
end
set_tombstone(KEYS[3], ARGV[11])
redis.call('DEL', KEYS[1])
return done(s.index, old, s.files or '')

-- KEYS: a session, its grace, its tombstone. ARGV: now, ten of end_old. Ends the
-- session. Answers its version, its value where its entry is another, and its file
-- versions.
local s, old = end_old(KEYS[1], KEYS[2], KEYS[3])
if not s then
  return old
end
return done(s.index, old, s.files or '')

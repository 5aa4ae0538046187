-- KEYS: a key that holds no session, its tombstone. ARGV: now, the end of the
-- tombstone, empty for none. Removes whatever it is.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {ABSENT}
end
set_tombstone(KEYS[2], ARGV[2])
redis.call('DEL', KEYS[1])
if publish then
  publish('deleted', KEYS[1], '', '')
end
return done()

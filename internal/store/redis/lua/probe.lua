-- KEYS: a key that is never there. ARGV: now. Asks for the right to run scripts and
-- to write, and for a server that takes writes, without writing anything.
redis.call('DEL', KEYS[1])
return {DONE}

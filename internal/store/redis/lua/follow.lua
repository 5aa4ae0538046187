-- KEYS: the stream of events. ARGV: now, for how long in ms it is kept without
-- followers, its length. Answers the ID of its last entry. There is
-- always one: without it, a stream that was trimmed would look like an empty one.
if redis.call('EXISTS', KEYS[1]) == 0 then
  record(KEYS[1], ARGV[3], {'start', ARGV[1], '', '', '', '', ''})
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {DONE, redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1][1]}

-- KEYS: a request with an Idempotency-Key. ARGV: now, the lease of the attempt, whether
-- the request is to be forgotten.
-- Answers DONE, or CHANGED where the attempt is not in progress any more.
local kept = redis.call('HMGET', KEYS[1], 'lease', 'answer')
if kept[1] ~= ARGV[2] or kept[2] then
  return {CHANGED}
end
if ARGV[3] ~= '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('HSET', KEYS[1], 'lease', ARGV[1])
end
return {DONE}

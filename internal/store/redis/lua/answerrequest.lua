-- KEYS: a request with an Idempotency-Key. ARGV: now, its lease, its end, its fingerprint,
-- its plan, whether it is a guest's, its answer.
-- Answers DONE, or CHANGED where the request has an answer already.
local kept = redis.call('HMGET', KEYS[1], 'end', 'answer')
if kept[1] and kept[2] and tonumber(kept[1]) > now then
  return {CHANGED}
end
redis.call('HSET', KEYS[1], 'fingerprint', ARGV[4], 'plan', ARGV[5], 'lease', ARGV[2], 'end', ARGV[3], 'guest', ARGV[6], 'answer', ARGV[7])
redis.call('PEXPIREAT', KEYS[1], ARGV[3])
return {DONE}

-- KEYS: a request with an Idempotency-Key. ARGV: now, its lease, its end, its fingerprint,
-- its plan, whether it is a guest's; what full takes.
-- Answers CHANGED and what is stored, as {fingerprint, plan, answer, lease, end, guest},
-- where that has an answer, is in progress or has another fingerprint. Answers DONE and the
-- same otherwise: the attempt has begun.
local kept = redis.call('HMGET', KEYS[1], 'fingerprint', 'plan', 'answer', 'lease', 'end', 'guest')
if kept[1] and tonumber(kept[5]) > now then
  if kept[3] or tonumber(kept[4]) > now or kept[1] ~= ARGV[4] then
    return {CHANGED, unpack(kept)}
  end
  redis.call('HSET', KEYS[1], 'lease', ARGV[2], 'end', ARGV[3])
  redis.call('PEXPIREAT', KEYS[1], ARGV[3])
  return {DONE, kept[1], kept[2], false, ARGV[2], ARGV[3], kept[6]}
end
if ARGV[7] ~= '' and full(ARGV[7], 0) then
  return {FULL}
end
if kept[1] then
  redis.call('DEL', KEYS[1])
end
redis.call('HSET', KEYS[1], 'fingerprint', ARGV[4], 'plan', ARGV[5], 'lease', ARGV[2], 'end', ARGV[3], 'guest', ARGV[6])
redis.call('PEXPIREAT', KEYS[1], ARGV[3])
return {DONE, ARGV[4], ARGV[5], false, ARGV[2], ARGV[3], ARGV[6]}

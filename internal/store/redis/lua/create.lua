-- KEYS: a session, its grace, its tombstone, keys of indexes. ARGV: now, value,
-- deadline; if that is empty, the session is pending, for so many ms; whether to
-- ignore the tombstone; the tombstone that the session gets, empty for none, and the
-- end of that; what full takes; a score and a member for each key of an index.
-- Answers the expired value that had the key.
local old, expired = '', nil
-- As a rule there is nothing.
local clear = not migrating and redis.call('EXISTS', KEYS[1], KEYS[2], KEYS[3]) == 0
if not clear then
  if redis.call('EXISTS', KEYS[1]) == 1 then
    local none
    expired, none = inspect(KEYS[1], 7)
    if not expired then
      return none
    end
    if not expired.expired then
      return {CHANGED}
    end
    old = redis.call('GET', KEYS[1])
  end
  if ARGV[5] == '' then
    local ended = beside(3)
    if ended and tonumber(ended) > now then
      return {string.sub(ended, -2) == '.0' and LAPSED or ENDED}
    end
  end
end
if ARGV[8] ~= '' and full(ARGV[8], 0) then
  return {FULL}
end
local member = 9
for i = 4, (#ARGV - member) / 2 + 3 do
  redis.call('ZADD', KEYS[i], ARGV[member], ARGV[member + 1])
  member = member + 2
end
if publish and expired and not expired.pending then
  publish('expired', KEYS[1], old, '')
end
if ARGV[3] == '' then
  -- By the server's clock, however far that of the caller is behind.
  local time = redis.call('TIME')
  local from = math.max(now, time[1] * 1000 + math.floor(time[2] / 1000))
  redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ms(from + ARGV[4]))
  return done(old)
end
redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ARGV[3])
if not clear then
  put('DEL', KEYS[2])
end
if ARGV[6] ~= '' then
  put('SET', KEYS[3], ARGV[6], 'PXAT', ARGV[7])
elseif not clear then
  put('DEL', KEYS[3])
end
if publish then
  publish('created', KEYS[1], ARGV[2], ARGV[3])
end
return done(old)

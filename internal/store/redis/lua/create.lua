-- KEYS: a session, its grace, its tombstone. ARGV: now, value, deadline; if that
-- is empty, the session is pending, for so many ms; whether to ignore the
-- tombstone; how long one lasts after the deadline; what full takes. Answers the
-- expired value that had the key.
local expired = nil
if redis.call('EXISTS', KEYS[1]) == 1 then
  local none
  expired, none = inspect(KEYS[1], 7)
  if not expired then
    return none
  end
  if not expired.expired then
    return {CHANGED}
  end
end
if ARGV[5] == '' then
  local ended = beside(3)
  if ended and tonumber(ended) > now then
    return {string.sub(ended, -2) == '.0' and LAPSED or ENDED}
  end
end
if full(ARGV[7], 0) then
  return {FULL}
end
local old = ''
if expired then
  old = redis.call('GET', KEYS[1])
  if not expired.pending then
    publish('expired', KEYS[1], old, '')
  end
end
if ARGV[3] == '' then
  -- By the server's clock, however far that of the caller is behind.
  local time = redis.call('TIME')
  local from = math.max(now, time[1] * 1000 + math.floor(time[2] / 1000))
  redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ms(from + ARGV[4]))
else
  redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ARGV[3])
  put('DEL', KEYS[2])
  set_expiry_tombstone(KEYS[3], ARGV[3], ARGV[6])
  publish('created', KEYS[1], ARGV[2], ARGV[3])
end
return done(old)

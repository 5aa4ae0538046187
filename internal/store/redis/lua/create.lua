-- KEYS: a session, its grace. ARGV: now, value, deadline; if that is empty, the
-- session is pending, for so many ms. Answers the expired value that had the
-- key.
local expired = ''
if redis.call('EXISTS', KEYS[1]) == 1 then
  local s, none = inspect(KEYS[1], 7)
  if not s then
    return none
  end
  if not s.expired then
    return {CHANGED}
  end
  expired = redis.call('GET', KEYS[1])
end
if ARGV[3] == '' then
  -- By the server's clock, however far that of the caller is behind.
  local time = redis.call('TIME')
  local from = math.max(now, time[1] * 1000 + math.floor(time[2] / 1000))
  redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ms(from + ARGV[4]))
else
  redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ARGV[3])
  redis.call('DEL', KEYS[2])
end
return {DONE, expired}

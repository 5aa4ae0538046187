-- KEYS: a session, its tombstone. ARGV: now, the deadline, where a part of the value's
-- head stands, where that ends, and that part; where the value's trailer starts, counted
-- from the end, and the trailer; the tombstone for the deadline, empty for none, and the
-- end of that; the user and the revision for the event. The last of KEYS and of ARGV are
-- as in publish.lua.
-- Touches the session if its value has these parts. Otherwise it does nothing, and leaves
-- the session to touch.lua. Answers the deadline.
local ABSENT, CHANGED, DONE = 0, 1, 3 -- as in answers.lua
local key, call = KEYS[1], redis.call
local at = call('PEXPIRETIME', key)
if at <= tonumber(ARGV[1]) then
  return {at == -1 and CHANGED or ABSENT}
end
if redis.pcall('GETRANGE', key, ARGV[6], '-1') ~= ARGV[7] or call('GETRANGE', key, ARGV[3], ARGV[4]) ~= ARGV[5] then
  return {CHANGED}
end
if tonumber(ARGV[2]) <= at then
  return {DONE, at}
end
call('PEXPIREAT', key, ARGV[2])
if ARGV[8] ~= '' then
  call('SET', KEYS[2], ARGV[8], 'PXAT', ARGV[9])
else
  call('DEL', KEYS[2])
end
if ARGV[12] == '' then
  return {DONE, ARGV[2], {{'touched', ARGV[1], key, ARGV[10], ARGV[11], ARGV[2], ''}}}
end
if call('EXISTS', KEYS[3]) == 1 then
  redis.pcall('XADD', KEYS[3], 'MAXLEN', '~', ARGV[12], '*', 'type', 'touched', 'at', ARGV[1], 'session', key,
    'user', ARGV[10], 'revision', ARGV[11], 'expires', ARGV[2], 'previous', '')
end
return {DONE, ARGV[2]}

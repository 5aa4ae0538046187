-- What the scripts share; it stands before each of them. ARGV[1] is always the
-- time of the operation in ms, and the answer a list that starts with one of:
local ABSENT, CHANGED, VERSION_NEEDED, DONE, PENDING, ENDED, LAPSED, FULL = 0, 1, 2, 3, 4, 5, 6, 7

-- Events and commands that the script leaves to its caller.
local left = {}

-- While a slot moves from one server of a Cluster to another, neither takes a
-- call of several keys that are not all there. Then ARGV[1] holds, line by line,
-- the time, and each key beside KEYS[1] with its value, empty for none; KEYS[1]
-- alone is declared, and what is written beside it is left to the caller.
local migrating
if string.find(ARGV[1], '\n', 1, true) then
  migrating = {}
  local at
  for line in string.gmatch(ARGV[1] .. '\n', '(.-)\n') do
    if not at then
      at = line
    elseif #KEYS > #migrating + 1 then
      migrating[#migrating + 1] = line ~= '' and line
    else
      KEYS[#KEYS + 1] = line
    end
  end
  ARGV[1] = at
end

local now = tonumber(ARGV[1])

-- beside returns the value of the n-th key, one beside KEYS[1]; false for none,
-- and for what is no string.
local function beside(n)
  if migrating then
    return migrating[n - 1]
  end
  local value = redis.pcall('GET', KEYS[n])
  return type(value) == 'string' and value
end

-- put writes to keys beside KEYS[1].
local function put(...)
  if migrating then
    left[#left + 1] = {'do', ...}
  else
    redis.call(...)
  end
end

-- done is the answer of a script that did what it is there for.
local function done(...)
  local answer = {DONE, ...}
  if #left > 0 then
    answer[#answer + 1] = left
  end
  return answer
end

-- inspect returns what there is to know of the session of a key without reading
-- its document, expired or not, and nil with the script's answer where there is
-- none. size is how much of the document's head is wanted.
local function inspect(key, size)
  local at = redis.call('PEXPIRETIME', key)
  if at == -2 then
    return nil, {ABSENT}
  end
  local s = {at = at, expired = at <= now, base = 0, pending = false}
  s.head = redis.call('GETRANGE', key, 0, size + 22)
  if string.sub(s.head, 1, 4) == '\0new' then
    s.pending, s.base = true, 19
  end
  if string.sub(s.head, s.base + 1, s.base + 4) == '\0zst' then
    s.base = s.base + 4
  end
  s.tail = redis.call('GETRANGE', key, -200, -1)
  local trailer = string.match(s.tail, '.*,"stored":{(.*)}}$')
  if not trailer then -- a long one, with the file versions
    s.tail = redis.call('GETRANGE', key, -1300, -1)
    trailer = string.match(s.tail, '.*,"stored":{(.*)}}$')
  end
  if trailer then
    s.index = string.match(trailer, '"index":"([%w_%-]+)"')
    s.files = string.match(trailer, '"files":"([%w_%-]+)"')
    s.birth = string.match(trailer, '"birth":"([%w_%-]+)"')
    s.idle = tonumber(string.match(trailer, '"idleMs":(%d+)') or nil)
  end
  if at == -1 or not s.index or not s.idle or string.sub(s.head, s.base + 1, s.base + 7) ~= '{"id":"' then
    return nil, redis.error_reply('FOREIGN the key holds no session')
  end
  return s
end

-- look is inspect that takes an expired session for none.
local function look(key, size)
  local s, none = inspect(key, size)
  if s and s.expired then
    return nil, {ABSENT}
  end
  return s, none
end

-- has reports whether the document's head has the text at the offset.
local function has(s, offset, text)
  local from = s.base + tonumber(offset)
  return string.sub(s.head, from + 1, from + #text) == text
end

-- unchanged reports whether the session is still the one that ARGV[2] to [7]
-- describe: where the revision stands, and the revision with its comma; where
-- createdAt stands, and createdAt; the end of the value; the life.
local function unchanged(s)
  return (s.birth or s.index) == ARGV[7] and has(s, ARGV[2], ARGV[3]) and has(s, ARGV[4], ARGV[5]) and string.sub(s.tail, -#ARGV[6]) == ARGV[6]
end

-- ms is a time as commands take it.
local function ms(t)
  return string.format('%.0f', t)
end

-- set_tombstone sets the tombstone of an ended session until that time; if that is
-- empty, there is none.
local function set_tombstone(key, till)
  if till ~= '' then
    put('SET', key, till, 'PXAT', till)
  else
    put('DEL', key)
  end
end

-- set_expiry_tombstone sets the tombstone of a live session, for when it will have expired:
-- until so many ms after its deadline; if that is empty, there is none. The .0
-- tells it from the tombstone of a session that was ended.
local function set_expiry_tombstone(key, deadline, window)
  if window ~= '' then
    local till = ms(deadline + window)
    put('SET', key, till .. '.0', 'PXAT', till)
  else
    put('DEL', key)
  end
end

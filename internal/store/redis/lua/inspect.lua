-- What scripts share that look at a session; it stands after answers.lua.

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

-- What scripts share that end a session in favour of its successor; it stands after
-- tombstones.lua.

-- end_old ends the session that ARGV[2] to [7] describe, if it is unchanged. ARGV[8] to
-- [11] are the digest of what its entry is taken for, the end of the grace, what the
-- grace leads to, and the end of the tombstone, empty for none. Returns the session and
-- its value where its entry is another; nil and the script's answer where it is
-- not ended.
local function end_old(key, grace, tombstone)
  local s, none = look(key, ARGV[2] + #ARGV[3])
  if not s then
    return nil, none
  end
  if s.pending then
    return nil, {ABSENT}
  end
  if not unchanged(s) then
    return nil, {CHANGED}
  end
  local old = ''
  if string.sub(s.index, 1, #ARGV[8]) ~= ARGV[8] then
    old = redis.call('GET', key)
  end
  if tonumber(ARGV[9]) > now then
    put('SET', grace, ARGV[10], 'PXAT', ARGV[9])
  else
    put('DEL', grace)
  end
  set_tombstone(tombstone, ARGV[11])
  redis.call('DEL', key)
  return s, old
end

-- What scripts share that visitors can make Redis grow by; it stands before them.

-- full reports whether the server's memory is used up but for the reserve. share
-- holds the reserve in percent and a limit beside maxmemory, 0 for none; it is
-- empty for a caller that may take the reserve. less is what will be free afterwards.
-- What it asks for is what Redis itself compares with maxmemory; the value that
-- came with the call is part of it.
local function full(share, less)
  local reserve, limit = string.match(share, '^(%d+) (%d+)$')
  local info = reserve and redis.pcall('INFO', 'memory')
  if type(info) ~= 'string' then -- the user may not ask
    return false
  end
  local function fact(name)
    return tonumber(string.match(info, '\n' .. name .. ':(%d+)')) or 0
  end
  limit = tonumber(limit)
  local max = fact('maxmemory')
  if max > 0 and (limit == 0 or max < limit) then
    limit = max
  end
  return limit > 0 and fact('used_memory') - fact('mem_not_counted_for_evict') - less > limit / 100 * (100 - reserve)
end

-- What all scripts share; it stands before each of them, after direct.lua or
-- migrating.lua. A script is compiled once, and run from its start each time: what it
-- defines costs time in every call, so each has only what it needs.
-- ARGV[1] is always the time of the operation in ms, and the answer a list that
-- starts with one of:
local ABSENT, CHANGED, VERSION_NEEDED, DONE, PENDING, ENDED, LAPSED, FULL = 0, 1, 2, 3, 4, 5, 6, 7

local now = tonumber(ARGV[1])

-- done is the answer of a script that did what it is there for.
local function done(...)
  if left then
    local answer = {DONE, ...}
    answer[#answer + 1] = left
    return answer
  end
  return {DONE, ...}
end

-- ms is a time as commands take it.
local function ms(t)
  return string.format('%.0f', t)
end

-- How a script gets at the keys beside KEYS[1] while a slot moves from one server of a
-- Cluster to another: neither takes a call of several keys then that are not all
-- there. So ARGV[1] holds, line by line, the time, and each key beside KEYS[1] with
-- its value, empty for none; KEYS[1] alone is declared, and what is written beside it
-- is left to the caller.

-- Events and commands that the script leaves to its caller; nil for none.
local left

local migrating = {}
do
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

-- beside returns the value of the n-th key, one beside KEYS[1]; false for none.
local function beside(n)
  return migrating[n - 1]
end

-- put writes to keys beside KEYS[1].
local function put(...)
  left = left or {}
  left[#left + 1] = {'do', ...}
end

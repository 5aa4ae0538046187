-- How a script gets at the keys beside KEYS[1]; see migrating.lua for the other way.

-- Events and commands that the script leaves to its caller; nil for none.
local left

local migrating = false

-- beside returns the value of the n-th key, one beside KEYS[1]; false for none,
-- and for what is no string.
local function beside(n)
  local value = redis.pcall('GET', KEYS[n])
  return type(value) == 'string' and value
end

-- put writes to keys beside KEYS[1].
local put = redis.call

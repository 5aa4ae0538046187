-- What scripts share that make a pending session what it is to be; it stands after
-- publish.lua and tombstones.lua.

-- publish_pending does that for the session of a key, which succeeds the id old.
-- window is how long the tombstone lasts after the deadline.
local function publish_pending(key, grace, tombstone, old, window)
  local value = redis.call('GET', key)
  local deadline = ms(tonumber(string.sub(value, 5, 19)))
  redis.call('SET', key, string.sub(value, 20), 'PXAT', deadline)
  put('DEL', grace)
  set_expiry_tombstone(tombstone, deadline, window)
  if publish then
    publish('regenerated', key, value, deadline, old)
  end
end

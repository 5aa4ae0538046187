-- What scripts share that set tombstones; it stands after answers.lua.

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

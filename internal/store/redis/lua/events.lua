-- What scripts share that publish events; it stands after answers.lua.

-- record adds an event to the stream. An error does not make the change
-- fail that the event is of.
local function record(stream, limit, event)
  redis.pcall('XADD', stream, 'MAXLEN', '~', limit, '*', 'type', event[1], 'at', event[2], 'session', event[3],
    'user', event[4], 'revision', event[5], 'expires', event[6], 'previous', event[7])
end

-- What scripts share that publish events; it stands after common.lua.

-- subject returns the user's id as the document of a value has it, escaped and
-- without its quotes, and the revision. Both stand before all that a client
-- can have written.
local function subject(value)
  local _, at, revision = string.find(value, '"revision":(%d+),')
  if not at or string.sub(value, at + 1, at + 14) ~= '"user":{"id":"' then
    return '', revision or '0'
  end
  local from = at + 15
  local to = from
  while true do
    to = string.find(value, '["\\]', to)
    if not to then
      return '', revision
    end
    if string.sub(value, to, to) == '"' then
      return string.sub(value, from, to - 1), revision
    end
    to = to + 2
  end
end

-- record adds an event to the stream. An error does not make the change
-- fail that the event is of.
local function record(stream, limit, event)
  redis.pcall('XADD', stream, 'MAXLEN', '~', limit, '*', 'type', event[1], 'at', event[2], 'session', event[3],
    'user', event[4], 'revision', event[5], 'expires', event[6], 'previous', event[7])
end

-- Scripts that change sessions have the stream of events as the last of KEYS,
-- and its length as the last of ARGV. In a Cluster, where the stream is not on
-- the session's server, that is empty, and they answer the events instead.
-- publish is for what happened to the session of that name, and has that value or
-- had it. Without followers there is no stream.
local function publish(what, name, value, deadline, previous)
  local limit = ARGV[#ARGV]
  if limit ~= '' and redis.call('EXISTS', KEYS[#KEYS]) == 0 then
    return
  end
  local user, revision = subject(value)
  local event = {what, ARGV[1], name, user, revision, deadline, previous or ''}
  if limit == '' then
    left[#left + 1] = event
  else
    record(KEYS[#KEYS], limit, event)
  end
end

-- What scripts share that change sessions; it stands after answers.lua and events.lua.
-- They have the stream of events as the last of KEYS, and its length as the last of
-- ARGV. In a Cluster, where the stream is not on the session's server, that is empty,
-- and they answer the events instead.

-- publish is for what happened to the session of that name, and has that value or
-- had it. Without followers there is no stream, and publish is nil.
local publish
if ARGV[#ARGV] == '' or redis.call('EXISTS', KEYS[#KEYS]) == 1 then
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

  publish = function(what, name, value, deadline, previous)
    local user, revision = subject(value)
    local event = {what, ARGV[1], name, user, revision, deadline, previous or ''}
    if ARGV[#ARGV] == '' then
      left = left or {}
      left[#left + 1] = event
    else
      record(KEYS[#KEYS], ARGV[#ARGV], event)
    end
  end
end

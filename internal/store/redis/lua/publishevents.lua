-- KEYS: the stream of events. ARGV: now, whether events were lost before these,
-- seven values of each event, the length of the stream.
if redis.call('EXISTS', KEYS[1]) == 1 then
  if ARGV[2] ~= '' then
    record(KEYS[1], ARGV[#ARGV], {'lost', ARGV[1], '', '', '', '', ''})
  end
  for i = 3, #ARGV - 7, 7 do
    record(KEYS[1], ARGV[#ARGV], {unpack(ARGV, i, i + 6)})
  end
end
return {DONE}

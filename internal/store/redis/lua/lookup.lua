-- KEYS: for each path, the shard of the index by file that has it. ARGV: now, how
-- many members of each path are wanted at most, then for each path where its
-- members begin and end. Answers those of each, as one look at all of them.
local found = {}
for i = 1, #KEYS do
  found[i] = redis.call('ZRANGE', KEYS[i], ARGV[2 * i + 1], ARGV[2 * i + 2], 'BYLEX', 'LIMIT', 0, ARGV[2])
end
return found

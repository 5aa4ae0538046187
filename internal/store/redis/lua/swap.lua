-- KEYS: a session, its tombstone. ARGV: now, six of unchanged, then deadline, whether a later
-- one stays; the new value in parts: body, start of the trailer, the end of the value; the
-- digest of what the old entry is taken for, or its whole version; a new version,
-- empty to keep the present ones; how long the tombstone lasts after the
-- deadline; a new life, empty to keep the present one; the new file versions,
-- empty for none; whether some of those are the old entry's, which then must be
-- no other; what full takes; the labels of a client of another family, empty for the
-- same. Answers the deadline and the old version, the old value where its entry
-- is another, the old file versions.
local s, none = look(KEYS[1], ARGV[2] + #ARGV[3])
if not s then
  return none
end
if s.pending then
  return {ABSENT}
end
if not unchanged(s) then
  return {CHANGED}
end
local old, index, birth, files = '', s.index, s.birth, s.files or ''
if string.sub(s.index, 1, #ARGV[13]) ~= ARGV[13] then
  if ARGV[14] == '' or ARGV[18] ~= '' then
    return {VERSION_NEEDED}
  end
  old = redis.call('GET', KEYS[1])
end
if ARGV[19] ~= '' and full(ARGV[19], redis.call('STRLEN', KEYS[1])) then
  return {FULL}
end
if ARGV[14] ~= '' then
  index, birth, files = ARGV[14], birth or index, ARGV[17]
end
if ARGV[16] ~= '' then
  birth = ARGV[16]
end
local deadline = tonumber(ARGV[8])
if ARGV[9] == '1' and s.at > deadline then
  deadline = s.at
end
local versions = '"index":"' .. index .. '"'
if files ~= '' then
  versions = '"files":"' .. files .. '",' .. versions
end
if birth then
  versions = versions .. ',"birth":"' .. birth .. '"'
end
redis.call('SET', KEYS[1], ARGV[10] .. ARGV[11] .. versions .. ARGV[12], 'PXAT', ms(deadline))
if deadline ~= s.at then
  set_expiry_tombstone(KEYS[2], deadline, ARGV[15])
end
if publish then
  publish('updated', KEYS[1], ARGV[10], ms(deadline))
  if ARGV[20] ~= '' then
    publish('client_changed', KEYS[1], ARGV[10], ms(deadline), ARGV[20])
  end
end
return done(deadline, s.index, old, s.files or '')

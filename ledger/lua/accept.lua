-- accept takes a message in, or tells what became of it if it is here already.
-- ARGV: 2 id, 3 fingerprint, 4 priority, 5 to, 6 content, 7 template id, 8 send at (ms, 0 now), 9 expires at (ms, 0 never),
--       10 in-doubt rule, 11 metadata, 12 how long it may wait if it has no expiry of its own (ms, 0 for ever),
--       13 fallback template, 14 its id, 15 the number as keys have it, if that is another form,
--       16 how many messages may be queued before it is refused (0 any number), 17 where its trace goes on ('' if it is not traced)
-- Returns: {'accepted' | 'exists' | 'conflict' | 'full', status, '1' if its first task is still to be enqueued}
local id, fingerprint, priority = ARGV[2], ARGV[3], ARGV[4]
local key = record(id)
local old = redis.call('HMGET', key, 'fp', 'st', 'gen', 'at')
if old[2] then
  local first = not old[3] and num(old[4]) == 0 and redis.call('ZSCORE', P .. 'waiting:' .. priority, id)
  return { old[1] == fingerprint and 'exists' or 'conflict', old[2], first and '1' or '0' }
end
local most = num(ARGV[16])
if most > 0 then
  local queued = redis.call('HMGET', P .. 'count', 'queued', 'rows') -- rows of campaigns take no room in a queue yet
  if num(queued[1]) - num(queued[2]) >= most then return { 'full', '', '0' } end
end
local send_at, expires_at = num(ARGV[8]), num(ARGV[9])
if expires_at == 0 and num(ARGV[12]) > 0 then expires_at = math.max(now, send_at) + num(ARGV[12]) end
local fields = { 'st', 'queued', 'pr', priority, 'to', ARGV[5], 'ct', ARGV[6], 'fp', fingerprint, 'ca', int(now) }
local function also(name, value) if value ~= '' then fields[#fields + 1] = name; fields[#fields + 1] = value end end
also('tp', ARGV[7])
also('od', ARGV[10])
also('md', ARGV[11])
also('fb', ARGV[13])
also('ft', ARGV[14])
also('nk', ARGV[15])
also('tc', ARGV[17])
if expires_at > 0 then
  also('ex', int(expires_at))
  redis.call('ZADD', P .. 'expiry', int(expires_at), id)
end
if send_at > now then also('sa', int(send_at)) end
redis.call('HSET', key, unpack(fields))
count('accepted', 1)
count('queued', 1)
local r = { st = 'queued', pr = priority, to = ARGV[5], nk = ARGV[15] ~= '' and ARGV[15] or nil }
publish(id, r, '', 'queued', {})
local entry = suppressed(phone(r), priority)
if entry then
  r.ex = expires_at > 0 and int(expires_at) or nil
  suppress_now(id, r, entry)
  return { 'accepted', 'suppressed', '0' }
end
if send_at > now then
  redis.call('ZADD', P .. 'due', int(send_at), id)
  return { 'accepted', 'queued', '0' }
end
redis.call('ZADD', P .. 'waiting:' .. priority, int(now), id)
return { 'accepted', 'queued', '1' }

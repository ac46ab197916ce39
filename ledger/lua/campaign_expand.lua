-- campaign_expand makes messages of some rows: the next ones, or none at all. Nothing is accepted by it that was not before.
-- ARGV: 2 id, 3 zone that all of them are in ('' if it does not matter), 4 chunk and 5 row where the first is looked for, 6 and 7 where
--       the next are, 8 rows, 9 its rate (messages/s, 0 none), 10 template id, 11 priority, 12 expires at (ms, 0 never), 13 in-doubt rule,
--       14 how long a message may wait that does not expire (ms),
--       then of each row: its message's id, the id that follows from its line, number, number as keys have it if that is another, content
-- Returns: {'ok', list of {id, number} that need a task} | {'gone'} | {'stopped', state} | {'moved'}
local id, zone, chunk, row, n, rate = ARGV[2], ARGV[3], num(ARGV[4]), num(ARGV[5]), num(ARGV[8]), num(ARGV[9])
local template, priority, expires_at = ARGV[10], ARGV[11], num(ARGV[12])
local function arg(k, i) return ARGV[14 + k + 5 * i] end -- the k-th of those of row i
local key, track = camp_key(id), track_key(id, zone)
local c = camp(id)
if not c then return { 'gone' } end
local t = redis.call('HMGET', track, 'cu', 'of', 'lb', 'xp', 'ro')
local here, out = int(chunk) .. ':' .. int(row), {}
if num(t[1]) ~= chunk or num(t[2]) ~= row then
  if t[3] ~= here then return { 'moved' } end
  for i = 0, n - 1 do -- repeated, or the reply was lost
    local mid = camp_id(id, arg(1, i), arg(2, i))
    local r = mid and redis.call('HMGET', record(mid), 'st', 'gen', 'at')
    if r and r[1] == 'queued' and not r[2] and not r[3] then out[#out + 1] = { mid, arg(3, i) } end
  end
  return { 'ok', out }
end
if c.st ~= 'running' then return { 'stopped', c.st } end
if num(t[4]) + n > num(t[5]) then return { 'moved' } end -- there are no such rows

if expires_at == 0 and num(ARGV[14]) > 0 then expires_at = now + num(ARGV[14]) end
-- The cursor comes first: should Redis be full, it is refused before anything else is written.
redis.call('HSET', track, 'cu', ARGV[6], 'of', ARGV[7], 'xp', int(num(t[4]) + n), 'lb', here)
if zone ~= '' then redis.call('HINCRBY', key, 'xp', n) end
if rate > 0 then
  local rest = math.max(num(c.ra), now - math.max(1000, 1000 / rate))
  redis.call('HSET', key, 'ra', string.format('%.3f', rest + n * 1000 / rate))
end
count('rows', -n)
local made = 0
for i = 0, n - 1 do
  local _, mid = camp_id(id, arg(1, i), arg(2, i))
  local to, nk = arg(3, i), arg(4, i)
  if mid then
    local r = { st = 'queued', pr = priority, to = to, tp = template, cm = id, ca = NOW, nk = nk ~= '' and nk or nil, tz = zone ~= '' and zone or nil }
    local fields = { 'st', 'queued', 'pr', priority, 'to', to, 'ct', arg(5, i), 'tp', template, 'cm', id, 'ca', NOW }
    local function also(name, value) if value ~= '' then fields[#fields + 1] = name; fields[#fields + 1] = value end end
    also('od', ARGV[13])
    also('nk', nk)
    also('tz', zone)
    made = made + 1
    if expires_at > 0 then
      r.ex = int(expires_at)
      also('ex', r.ex)
      redis.call('ZADD', P .. 'expiry', r.ex, mid)
    end
    redis.call('HSET', record(mid), unpack(fields))
    publish(mid, r, '', 'queued', {})
    local entry = suppressed(phone(r), priority)
    if r.ex and expires_at <= now then
      move(mid, r, 'expired')
    elseif entry then
      suppress_now(mid, r, entry)
    else
      redis.call('ZADD', P .. 'waiting:' .. priority, NOW, mid)
      out[#out + 1] = { mid, to }
    end
  end
end
if zone ~= '' and made > 0 then redis.call('HINCRBY', track, 'q', made) end
return { 'ok', out }

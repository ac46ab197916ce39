-- campaign_expand makes messages of some rows: the next ones, or none at all. Nothing is accepted by it that was not before.
-- ARGV: 2 id, 3 chunk, 4 rows of it that are messages already, 5 rows, 6 '1' if they end the chunk, 7 its rate (messages/s, 0 none),
--       8 template id, 9 priority, 10 expires at (ms, 0 never), 11 in-doubt rule, 12 how long a message may wait that does not expire (ms),
--       then of each row: its message's id, the id that follows from its line, number, number as keys have it if that is another, content
-- Returns: {'ok', list of {id, number} that need a task} | {'gone'} | {'stopped', state} | {'moved'}
local id, chunk, offset, n, rate = ARGV[2], num(ARGV[3]), num(ARGV[4]), num(ARGV[5]), num(ARGV[7])
local template, priority, expires_at = ARGV[8], ARGV[9], num(ARGV[10])
local key = camp_key(id)
local c = camp(id)
if not c then return { 'gone' } end
local here, out = int(chunk) .. ':' .. int(offset), {}
if num(c.cu) ~= chunk or num(c.of) ~= offset then
  if c.lb ~= here then return { 'moved' } end
  for i = 0, n - 1 do -- repeated, or the reply was lost
    local mid = camp_id(id, ARGV[13 + 5 * i], ARGV[14 + 5 * i])
    local r = mid and redis.call('HMGET', record(mid), 'st', 'gen', 'at')
    if r and r[1] == 'queued' and not r[2] and not r[3] then out[#out + 1] = { mid, ARGV[15 + 5 * i] } end
  end
  return { 'ok', out }
end
if c.st ~= 'running' then return { 'stopped', c.st } end
if num(c.xp) + n > num(c.ro) then return { 'moved' } end -- there are no such rows

if expires_at == 0 and num(ARGV[12]) > 0 then expires_at = now + num(ARGV[12]) end
-- The cursor comes first: should Redis be full, it is refused before anything else is written.
local done = ARGV[6] == '1'
redis.call('HSET', key, 'cu', int(done and chunk + 1 or chunk), 'of', int(done and 0 or offset + n), 'xp', int(num(c.xp) + n), 'lb', here)
if rate > 0 then
  local rest = math.max(num(c.ra), now - math.max(1000, 1000 / rate))
  redis.call('HSET', key, 'ra', string.format('%.3f', rest + n * 1000 / rate))
end
count('rows', -n)
for i = 0, n - 1 do
  local _, mid = camp_id(id, ARGV[13 + 5 * i], ARGV[14 + 5 * i])
  local to, nk = ARGV[15 + 5 * i], ARGV[16 + 5 * i]
  if mid then
    local r = { st = 'queued', pr = priority, to = to, tp = template, cm = id, ca = NOW, nk = nk ~= '' and nk or nil }
    local fields = { 'st', 'queued', 'pr', priority, 'to', to, 'ct', ARGV[17 + 5 * i], 'tp', template, 'cm', id, 'ca', NOW }
    local function also(name, value) if value ~= '' then fields[#fields + 1] = name; fields[#fields + 1] = value end end
    also('od', ARGV[11])
    also('nk', nk)
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
return { 'ok', out }

-- campaign_rows takes rows in: one chunk of them, and how far in the file it comes. Rows are accepted and queued from now on.
-- ARGV: 2 id, 3 who reads the file, 4 how long nobody else may (ms), 5 lines before it, 6 lines with it, 7 sum over those lines,
--       8 rejected so far, 9 the chunk, 10 what was rejected of these lines ('' for none, both), 11 rows, then of each row its number as keys
--       have it and its message's own id or '', then each zone that some of them are in and how many of them, if its window goes by those
-- Returns: {'ok'} | {'gone'} | {'closed', state} | {'busy'} | {'moved', lines} | {'clash', lists of {row from 1, 'number' | 'id' | 'taken'}}
-- After a clash nothing was written.
local id, owner, before, lines, n = ARGV[2], ARGV[3], num(ARGV[5]), num(ARGV[6]), num(ARGV[11])
local key = camp_key(id)
local c = camp(id)
if not c then return { 'gone' } end
if c['in'] or not after(c.st, 'rows') then return { 'closed', c.st } end
if c.ow and c.ow ~= owner and num(c.ot) > now then return { 'busy' } end
if num(c.li) ~= before then
  if num(c.li) == lines and c.ow == owner then return { 'ok' } end -- repeated
  return { 'moved', num(c.li) }
end

-- Numbers and ids that were seen are integers in many small sets, of which each keeps only what its name does not tell: about 6 bytes each.
local BUCKETS = 16384
local clashes, sets = {}, {}
for i = 1, n do
  local number, own = num(ARGV[10 + 2 * i]), ARGV[11 + 2 * i]
  local set, member = key .. ':n:' .. int(number % BUCKETS), int(math.floor(number / BUCKETS))
  if redis.call('SISMEMBER', set, member) == 1 then clashes[#clashes + 1] = { i, 'number' } end
  sets[#sets + 1] = { set, member }
  if own ~= '' then
    local hash = tonumber(string.sub(redis.sha1hex(own), 1, 13), 16)
    set, member = key .. ':i:' .. int(hash % BUCKETS), int(math.floor(hash / BUCKETS))
    if redis.call('SISMEMBER', set, member) == 1 then
      clashes[#clashes + 1] = { i, 'id' }
    elseif redis.call('EXISTS', record(own)) == 1 then
      clashes[#clashes + 1] = { i, 'taken' }
    end
    sets[#sets + 1] = { set, member }
  end
end
if #clashes > 0 then return { 'clash', clashes } end

for _, s in ipairs(sets) do redis.call('SADD', s[1], s[2]) end
turn(id, c, after(c.st, 'rows'), 'li', int(lines), 'ck', ARGV[7], 'rj', ARGV[8], 'ow', owner, 'ot', int(now + num(ARGV[4])), 'sn', '1')
if ARGV[10] ~= '' then redis.call('HSET', key .. ':rejects', int(redis.call('HINCRBY', key, 'jc', 1) - 1), ARGV[10]) end
if n > 0 then
  redis.call('HSET', key .. ':rows', int(num(c.ch)), ARGV[9])
  redis.call('HINCRBY', key, 'ch', 1)
  redis.call('HINCRBY', key, 'ro', n)
  count('accepted', n)
  count('queued', n)
  count('rows', n)
  tally(id, 'queued', n)
  local zones = c.zs or ''
  for i = 12 + 2 * n, #ARGV, 2 do
    redis.call('HINCRBY', track_key(id, ARGV[i]), 'ro', ARGV[i + 1])
    if not string.find(zones .. ' ', ' ' .. ARGV[i] .. ' ', 1, true) then zones = zones .. ' ' .. ARGV[i] end
  end
  if zones ~= (c.zs or '') then redis.call('HSET', key, 'zs', zones) end
end
return { 'ok' }

-- campaign_look is the expander's one look: it renews the lease, starts and ends campaigns whose time has come, pauses those whose template
-- is held, forgets those of long ago, and tells of all that something is to be done about.
-- ARGV: 2 owner, 3 lease (ms), 4 how long rows are kept after the end (ms), 5 how long the rest is (ms)
-- Returns: {'busy'}, or {'ok', lists of {id, fields, counts, lists of {zone, fields}}, now}
local owner = ARGV[2]
local lease = redis.call('HMGET', P .. 'expander', 'owner', 'till')
if lease[1] and lease[1] ~= owner and num(lease[2]) > now then return { 'busy' } end
redis.call('HSET', P .. 'expander', 'owner', owner, 'till', int(now + num(ARGV[3])))

local out = {}
for _, id in ipairs(redis.call('ZRANGE', OPEN, 0, 499)) do
  local c = camp(id)
  if not c then
    redis.call('ZREM', OPEN, id)
  else
    local counts = camp_counts(id)
    local unsettled = (counts.queued or 0) + (counts.sending or 0) + (counts.in_doubt or 0) + (counts.failed or 0)
    if c['in'] and c.st == 'scheduled' and num(c.sa) <= now then turn(id, c, after(c.st, 'start')) end
    local hold = redis.call('EXISTS', P .. 'hold') == 1 and held().hold_of('template:' .. c.tp)
    local stopped = hold and not hold.ended
    if c.st == 'running' and stopped then
      c.re = template_held(hold)
      turn(id, c, after(c.st, 'pause'), 're', c.re, 'by', 'template')
    elseif c.st == 'paused' and c.by == 'template' and not stopped then
      redis.call('HDEL', camp_key(id), 're', 'by')
      turn(id, c, after(c.st, 'resume'))
    end
    if c.st == 'running' and unsettled == 0 and num(c.xp) == num(c.ro) then turn(id, c, after(c.st, 'complete')) end
    if c.st == 'cancelled' and unsettled == 0 and not c.sn then redis.call('ZREM', OPEN, id) end
    if now - num(c.sa2) >= 10000 then
      local done = num(c.ro) - unsettled
      redis.call('HSET', camp_key(id), 'sa1', c.sa2 or NOW, 'sd1', c.sd2 or int(done), 'sa2', NOW, 'sd2', int(done))
    end
    local fields = {}
    for k, v in pairs(c) do fields[#fields + 1] = k; fields[#fields + 1] = v end
    local flat = {}
    for k, v in pairs(counts) do flat[#flat + 1] = k; flat[#flat + 1] = int(v) end
    out[#out + 1] = { id, fields, flat, c['in'] and c.st ~= 'scheduled' and tracks(id, c.zs) or {} }
  end
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'campaigns:rows', '-inf', int(now - num(ARGV[4])), 'LIMIT', 0, 5)) do
  local c = camp(id)
  if c and c.st == 'cancelled' and num(c.ro) > num(c.xp) then -- rows that never became messages end here
    count('cancelled', num(c.xp) - num(c.ro))
    count('retired', num(c.ro) - num(c.xp))
  end
  redis.call('UNLINK', camp_key(id) .. ':rows', camp_key(id) .. ':rejects')
  if c then redis.call('HSET', camp_key(id), 'ru', '1') end
  redis.call('ZREM', P .. 'campaigns:rows', id)
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'campaigns:ended', '-inf', int(now - num(ARGV[5])), 'LIMIT', 0, 5)) do
  for zone in string.gmatch(redis.call('HGET', camp_key(id), 'zs') or '', '%S+') do redis.call('UNLINK', track_key(id, zone)) end
  redis.call('UNLINK', camp_key(id), camp_key(id) .. ':count', camp_key(id) .. ':rows', camp_key(id) .. ':rejects')
  redis.call('ZREM', P .. 'campaigns', id)
  redis.call('ZREM', P .. 'campaigns:ended', id)
end
return { 'ok', out, NOW }

-- sweep is the sweeper's one call: it renews the lease, ends what is past its time, and hands back what must be enqueued anew.
-- ARGV: 2 owner, 3 lease (ms), 4 most messages at a time, 5 retention (ms), 6 retention of dead letters (ms),
--       then for critical, default and bulk: grace (ms), '1' if its asynq queue is empty and not paused,
--       13 '1' if Redis is full: then nothing is handed back
-- Returns: {'busy'}, or {'ok', lists of {id, generation, priority, to, template id}, expired, retired, more}
local owner, lease, most, full = ARGV[2], num(ARGV[3]), num(ARGV[4]), ARGV[13] == '1'
local holder = redis.call('HMGET', P .. 'sweeper', 'owner', 'till')
if holder[1] and holder[1] ~= owner and num(holder[2]) > now then return { 'busy' } end
-- Before any write that needs memory: then a full Redis refuses none of the others, and what frees memory goes on.
redis.call('ZREMRANGEBYSCORE', P .. 'session', '-inf', int(now - 86400000))
redis.call('HSET', P .. 'sweeper', 'owner', owner, 'till', int(now + lease))

local out, expired, retired, more = {}, 0, 0, 0

local function upto(set, till, limit)
  local found = redis.call('ZRANGEBYSCORE', P .. set, '-inf', till, 'LIMIT', 0, limit)
  if #found == limit then more = 1 end
  return found
end

local function expire(id, r)
  move(id, r, 'expired')
  place(id, r.pr)
  expired = expired + 1
end

local function requeue(id, set)
  local r = read(id)
  if not r then -- cannot be; should it be, it must not come again and again
    redis.call('ZREM', P .. set, id)
  elseif r.st == 'queued' and r.ex and num(r.ex) <= now then
    expire(id, r)
  else
    local generation = num(r.gen) + 1
    redis.call('HSET', record(id), 'gen', generation)
    place(id, r.pr, 'waiting', now)
    out[#out + 1] = { id, generation, r.pr, r.to, r.tp or '' }
  end
end

for _, id in ipairs(upto('expiry', int(now), most)) do
  local r = read(id)
  if r and r.st == 'queued' and r.ex then
    expire(id, r)
  elseif r and not settled(r.st) then
    redis.call('ZADD', P .. 'expiry', int(now + 5000), id) -- being sent: look again when that is known
  else
    redis.call('ZREM', P .. 'expiry', id)
  end
end

if not full then
  for _, id in ipairs(upto('due', int(now), most)) do requeue(id, 'due') end
end

for _, field in ipairs(upto('suppress:until', int(now), most)) do
  local entry = redis.call('HGET', P .. 'suppress', field)
  local till = entry and cjson.decode(entry)['until']
  if till and till ~= 0 and till <= now then redis.call('HDEL', P .. 'suppress', field) end
  redis.call('ZREM', P .. 'suppress:until', field)
end

-- asynq hands out first in, first out. So a task that is older than one already claimed has been overtaken: it is lost.
for i, priority in ipairs({ 'critical', 'default', 'bulk' }) do
  local grace, idle = num(ARGV[5 + 2 * i]), ARGV[6 + 2 * i] == '1'
  local waiting = 'waiting:' .. priority
  local till = num(redis.call('ZSCORE', P .. 'mark', priority)) - grace
  if idle then till = now - grace end
  if till > 0 and not full then
    for _, id in ipairs(upto(waiting, '(' .. int(till), most)) do requeue(id, waiting) end
  end
end

local function retire(id, st)
  redis.call('DEL', record(id))
  redis.call('ZREM', P .. 'dead', id)
  count(st, -1)
  count('retired', 1)
  retired = retired + 1
end

for _ = 1, most do
  local head = redis.call('LINDEX', P .. 'settled', 0)
  if not head then break end
  local at, id = string.match(head, '^(%d+):(.*)$')
  if num(at) > now - num(ARGV[5]) then break end
  redis.call('LPOP', P .. 'settled')
  local r = redis.call('HMGET', record(id), 'st', 'sl')
  -- Settled again since (after a replay), it stands further back in the list.
  if r[1] and settled(r[1]) and r[1] ~= 'dead' and r[2] == at then retire(id, r[1]) end
end
for _, id in ipairs(upto('dead', int(now - num(ARGV[6])), most)) do retire(id, 'dead') end

return { 'ok', out, expired, retired, more }

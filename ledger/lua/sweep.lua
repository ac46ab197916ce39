-- sweep is the sweeper's one call: it renews the lease, ends what is past its time, tries what is held, and hands back what must be
-- enqueued anew.
-- ARGV: 2 owner, 3 lease (ms), 4 most messages at a time, 5 retention (ms), 6 retention of dead letters (ms),
--       then for critical, default and bulk: grace (ms), '1' if its asynq queue is empty and not paused;
--       13 how many may be let go at a time once a hold has ended, 14 how many of them may wait in a queue,
--       15 '1' if Redis is full: then nothing is handed back; 16 '1' if somebody is told of holds that begin and end
-- Returns: {'busy'}, or {'ok', lists of {id, generation, priority, to, template id, '1' for the express queue}, expired, retired, more,
--          lists of {scope, hold as JSON} of the holds there are, what is to be told of them, oldest first}
local owner, lease, most, full = ARGV[2], num(ARGV[3]), num(ARGV[4]), ARGV[15] == '1'
local holder = redis.call('HMGET', P .. 'sweeper', 'owner', 'till')
if holder[1] and holder[1] ~= owner and num(holder[2]) > now then return { 'busy' } end
-- Before any write that needs memory: then a full Redis refuses none of the others, and what frees memory goes on.
redis.call('ZREMRANGEBYSCORE', P .. 'session', '-inf', int(now - 86400000))
redis.call('HSET', P .. 'sweeper', 'owner', owner, 'till', int(now + lease))

local LOST = 5000 -- ms after which an express task counts as lost
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

-- enqueue gives a message a new task, and the place that goes with it.
local function enqueue(id, r, express)
  local generation = num(r.gen) + 1
  redis.call('HSET', record(id), 'gen', generation)
  if express then
    place(id, r.pr, 'due', now + LOST) -- express tasks are not in line with others: whether one is lost only time can tell
  else
    place(id, r.pr, 'waiting', now)
  end
  out[#out + 1] = { id, generation, r.pr, r.to, r.tp or '', express and '1' or '0' }
end

-- resume ends a wait: what a queued message waited for is over.
local function resume(id, r)
  if r.ws then
    redis.call('HSET', record(id), 'pk', int(num(r.pk) + now - num(r.ws)))
    redis.call('HDEL', record(id), 'ws', 'wf')
  end
end

local function requeue(id, set)
  local r = read(id)
  if not r then -- cannot be; should it be, it must not come again and again
    redis.call('ZREM', P .. set, id)
  elseif r.st == 'queued' and r.ex and num(r.ex) <= now then
    expire(id, r)
  elseif r.st == 'queued' then
    unhold(id, r)
    if r.wf ~= 'pair' then resume(id, r) end -- who stood in line for its recipient has to be known by it
    enqueue(id, r)
  else
    -- Somebody has to decide: at once, and not behind whatever waits in its queue. Whoever was to do so is gone.
    redis.call('HSET', record(id), 'dq', 1)
    if r.st ~= 'sending' then redis.call('HDEL', record(id), 'tok') end
    enqueue(id, r, true)
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

-- Holds: end those whose probe was not reported as failed, try those whose time has come, and let go what waits behind ended ones.

local hold = held()
local active, covers, template_of = hold.active, hold.covers, hold.template_of
local holds = hold.all_holds()
local UNUSED = 86400000 -- ms after which a hold that nothing was there to try with is over

-- candidates are some of the messages that a hold keeps back, those that wait for it first.
local function candidates(scope, h)
  local ids = redis.call('ZRANGE', P .. 'held:' .. scope, 0, 19)
  for _, priority in ipairs({ 'critical', 'default', 'bulk' }) do
    if covers(h, priority) then
      for _, id in ipairs(redis.call('ZRANGE', P .. 'waiting:' .. priority, 0, 19)) do ids[#ids + 1] = id end
    end
  end
  return ids
end

-- kept_by_another says whether another hold than this one would keep a message back, too.
local function kept_by_another(scope, priority, template)
  for _, s in ipairs({ 'sender', 'some', 'template:' .. template }) do
    if s ~= scope and active(holds[s]) and covers(holds[s], priority) then return true end
  end
end

-- probe sends one message to try a hold with: not the one that failed last, if there is another, and one of another template before that,
-- since it may be that message's or that template's fault.
local function probe(scope, h)
  local id, r, template, best
  for _, candidate in ipairs(candidates(scope, h)) do
    local c = read(candidate)
    local t = c and template_of(c)
    if c and c.st == 'queued' and not (c.ex and num(c.ex) <= now) and (scope == 'sender' or scope == 'some' or scope == 'template:' .. t)
      and not kept_by_another(scope, c.pr, t) then
      local fit = (candidate ~= h.last and 1 or 0) + (t ~= h.tried and 1 or 0)
      if not id or fit > best then id, r, template, best = candidate, c, t, fit end
      if best == 2 then break end
    end
  end
  if not id then return end -- the next that comes
  h.probe, h.last, h.tried = id, id, template
  h['until'] = now + 2 * LOST -- should nothing come of it, there is another
  hold.keep_hold(scope, h)
  unhold(id, r)
  resume(id, r)
  enqueue(id, r, true)
end

-- let_go hands on some of what waited behind a hold that has ended, most urgent first: while there is room in the queues, and a tenth
-- in any case, or it would never come behind a queue that is always long.
local function let_go(scope, h)
  local key, most_at_once = P .. 'held:' .. scope, num(ARGV[13])
  if not active(holds.sender) then
    for i, id in ipairs(redis.call('ZRANGE', key, 0, most_at_once - 1)) do
      local priority = redis.call('HGET', record(id), 'pr')
      if not priority or i <= most_at_once / 10 + 1 or redis.call('ZCARD', P .. 'waiting:' .. priority) < num(ARGV[14]) then
        requeue(id, 'held:' .. scope)
      end
    end
  end
  if now - h.ended >= hold.RECALL and redis.call('EXISTS', key) == 0 then redis.call('HDEL', P .. 'hold', scope) end
end

local seen = {}
for scope, h in pairs(holds) do
  local over = h['until'] > 0 and h['until'] <= now
  if active(h) and (h.confirm and h.confirm <= now or over and (h.by ~= '' or now - h['until'] > UNUSED)) then
    hold.finish_hold(scope, h)
  elseif active(h) and over and not full then
    probe(scope, h)
  end
  if not active(h) and not full then let_go(scope, h) end
  seen[#seen + 1] = { scope, cjson.encode(h) }
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

local news = {}
if ARGV[16] == '1' then
  news = redis.call('LRANGE', P .. 'news', 0, 49)
else
  redis.call('DEL', P .. 'news')
end

return { 'ok', out, expired, retired, more, seen, news }

-- sweep is the sweeper's one call: it renews the lease, ends what is past its time, tries what is held, and hands back what must be
-- enqueued anew.
-- ARGV: 2 owner, 3 lease (ms), 4 most messages at a time, 5 retention (ms), 6 retention of dead letters (ms),
--       then for critical, default and bulk: grace (ms), '1' if its asynq queue is empty and not paused;
--       13 how many a second may be let go once a hold has ended, 14 how many of them may wait in a queue,
--       15 '1' if Redis is full: then nothing is handed back; 16 '1' if somebody is told of holds that begin and end,
--       17 '1' if the lane of express tasks is empty, and nobody has one of them
-- Returns: {'busy'}, or {'ok', lists of {id, generation, priority, to, template id, '1' for the express queue}, expired, retired, more,
--          lists of {scope, hold as JSON} of the holds there are, what is to be told of them, oldest first}
local owner, lease, most, full = ARGV[2], num(ARGV[3]), num(ARGV[4]), ARGV[15] == '1'
local holder = redis.call('HMGET', P .. 'sweeper', 'owner', 'till', 'let', 'drip')
if holder[1] and holder[1] ~= owner and num(holder[2]) > now then return { 'busy' } end
-- Before any write that needs memory: then a full Redis refuses none of the others, and what frees memory goes on.
redis.call('ZREMRANGEBYSCORE', P .. 'session', '-inf', int(now - 86400000))
redis.call('HSET', P .. 'sweeper', 'owner', owner, 'till', int(now + lease))

local LOST = 5000 -- ms after which an express task counts as lost, if the lane is empty
local hold, lane_empty = held(), ARGV[17] == '1'
local active, covers, template_of = hold.active, hold.covers, hold.template_of
local holds = hold.all_holds()
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
    place(id, r.pr, 'due', now + LOST) -- express tasks are not in line with others
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

-- is_probe says whether some hold is being tried with a message; it is given the time to come once more.
local function is_probe(id)
  local found = false
  for scope, h in pairs(holds) do
    if active(h) and h.probe == id then
      found = true
      h['until'] = math.max(h['until'], now + 2 * LOST)
      hold.keep_hold(scope, h)
    end
  end
  return found
end

-- call has a message brought at once, and not behind whatever waits in its queue. What was called for already is not called for again
-- while the lane has tasks: a new one would make the one before it stale.
local function call(id, r, again)
  if again and not lane_empty then
    place(id, r.pr, 'due', now + LOST)
  else
    enqueue(id, r, true)
  end
end

local function requeue(id, set)
  local r = read(id)
  if not r then -- cannot be; should it be, it must not come again and again
    redis.call('ZREM', P .. set, id)
  elseif r.st == 'queued' and r.ex and num(r.ex) <= now then
    expire(id, r)
  elseif r.st == 'queued' and set == 'due' and is_probe(id) then
    call(id, r, true)
  elseif r.st == 'queued' then
    unhold(id, r)
    if r.wf ~= 'pair' then resume(id, r) end -- who stood in line for its recipient has to be known by it
    enqueue(id, r)
  else
    -- Somebody has to decide. Whoever was to do so is gone.
    local again = r.dq
    if not again then redis.call('HSET', record(id), 'dq', 1) end
    if r.st ~= 'sending' then redis.call('HDEL', record(id), 'tok') end
    call(id, r, again)
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

-- also_kept_by answers the other holds that would keep a message back, by scope; the scope of one that a person set, if there is one; and
-- whether one of them is being tried already.
local function also_kept_by(scope, priority, template, campaign)
  local others, hand, tried = {}, nil, false
  for _, s in ipairs(hold.scopes_of(template, campaign)) do
    local h = holds[s]
    if s ~= scope and active(h) and covers(h, priority) then
      others[s] = h
      if h.by ~= '' then hand = s end
      tried = tried or h.probe and h['until'] > now
    end
  end
  return others, hand, tried
end

-- probe sends one message to try a hold with: if it can be one that has not failed like this itself, any of them, since neighbours may have
-- more in common than their place; or else the one that did so longest ago. Before that, not the one that failed last, and one of another
-- template, since it may be that message's or that template's fault. Other holds of the policy's that keep it back are tried with it, too. What a
-- person holds is set aside, or nobody behind it would ever be looked at.
local function probe(scope, h)
  local id, r, template, best, tried, equals
  -- better says whether to take c instead of what was found before; of several that are equally good it may be any.
  local function better(fit, c)
    if not id or fit > best or fit == best and num(c.hf) < num(r.hf) then equals = 1 return true end
    if fit < best or c.hf then return false end
    equals = equals + 1
    return math.floor(clock[2] / 7) % equals == 0
  end
  for _, candidate in ipairs(candidates(scope, h)) do
    local c = read(candidate)
    local t = c and template_of(c)
    if c and c.st == 'queued' and not (c.ex and num(c.ex) <= now) and (scope == 'sender' or scope == 'some' or scope == 'template:' .. t) then
      local others, hand, busy = also_kept_by(scope, c.pr, t, c.cm)
      local opens
      if c.cm then opens = select(2, windows().look(c)) end
      if opens then
        windows().park(candidate, c, opens)
      elseif hand and not c.hs then
        hold.keep_back(candidate, c, hand, holds[hand].reason)
      elseif not hand and not busy then
        local fit = (c.hf and 0 or 4) + (candidate ~= h.last and 2 or 0) + (t ~= h.tried and 1 or 0)
        if better(fit, c) then id, r, template, best, tried = candidate, c, t, fit, others end
      end
    end
  end
  if not id then return end -- the next that comes
  tried[scope] = h
  for s, k in pairs(tried) do
    k.probe, k.last, k.tried, k.confirm = id, id, template, nil
    k['until'] = now + 2 * LOST -- should nothing come of it, there is another
    hold.keep_hold(s, k)
  end
  unhold(id, r)
  resume(id, r)
  enqueue(id, r, true)
end

-- What waited behind a hold that has ended, or behind one that is not about it any more, is let go at so many a second, for all holds together:
-- while there is room in the queues, and at a tenth of that in any case, or it would never come behind a queue that is always long.
local function bucket(since, gap) -- how many may go now, if the last went at since
  since = math.max(num(since), now - math.max(1000, gap))
  return { left = math.floor((now - since) / gap), gap = gap, since = since, used = 0 }
end
local gap = 1000 / math.max(num(ARGV[13]), 0.001)
local let, drip = bucket(holder[3], gap), bucket(holder[4], 10 * gap)

local function let_go(scope, h)
  local key = P .. 'held:' .. scope
  for _, priority in ipairs({ 'critical', 'default', 'bulk' }) do
    local kept = false -- by this hold still, or by another of the whole sender
    for _, other in pairs({ h, holds.hand, holds['hand some'], holds.sender, holds.some }) do kept = kept or active(other) and covers(other, priority) end
    if not kept then
      local from, to = hold.band(priority)
      local b = redis.call('ZCARD', P .. 'waiting:' .. priority) < num(ARGV[14]) and let or drip
      if b.left > 0 then
        for _, id in ipairs(redis.call('ZRANGEBYSCORE', key, int(from), '(' .. int(to), 'LIMIT', 0, b.left)) do
          requeue(id, 'held:' .. scope)
          b.left, b.used = b.left - 1, b.used + 1
        end
      end
    end
  end
  if not active(h) and now - h.ended >= hold.RECALL and redis.call('EXISTS', key) == 0 then redis.call('HDEL', P .. 'hold', scope) end
end

-- The widest first: what is tried for it is tried for the others as well.
local seen, order = {}, { 'hand', 'hand some', 'sender', 'some' }
for scope in pairs(holds) do
  if string.find(scope, 'template:', 1, true) == 1 or string.find(scope, 'campaign:', 1, true) == 1 then order[#order + 1] = scope end
end
local function look_at(scope, h)
  local over = h['until'] > 0 and h['until'] <= now
  if active(h) and (h.confirm and h.confirm <= now or over and (h.by ~= '' or now - h['until'] > UNUSED)) then
    hold.finish_hold(scope, h, h.confirm and 'probe' or 'time')
  elseif active(h) and over and not full and (lane_empty or not h.probe) then
    probe(scope, h)
  end
  if not full then let_go(scope, h) end
  seen[#seen + 1] = { scope, cjson.encode(h) }
end
for _, scope in ipairs(order) do
  if holds[scope] then look_at(scope, holds[scope]) end
end

for name, b in pairs({ let = let, drip = drip }) do
  if b.used > 0 then redis.call('HSET', P .. 'sweeper', name, int(math.ceil(b.since + b.used * b.gap))) end
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

-- commit records what one attempt came to. A fact is never thrown away: it is recorded whenever it comes, also when the claim
-- has long run out, and a success moves the message wherever it stands.
-- ARGV: 2 id, 3 attempt, 4 outcome (submitted, refused, not_sent, in_doubt), 5 next status (submitted, queued, dead, in_doubt),
--       6 delay until then (ms), 7 what it waits for ('' for a retry), 8 '1' if an attempt was spent, 9 code, 10 class, 11 reason,
--       12 messageId, 13 its bucket, 14 its field, 15 how long the index is kept (s), 16 slack behind a retry (ms),
--       17 what to hold ('', 'sender', 'some' priorities of it, or 'template:<id>'), 18 for which priorities, 19 for how long (ms), 20 at most (ms)
-- Returns: {status, 'applied' | 'noted' | 'repeated' | 'gone'}
local id, attempt, outcome, target, delay, waits_for = ARGV[2], num(ARGV[3]), ARGV[4], ARGV[5], num(ARGV[6]), ARGV[7]
local spent, code, class, reason, mid = ARGV[8] == '1', ARGV[9], ARGV[10], ARGV[11], ARGV[12]
local key, hold = record(id), P .. 'hold'

local function set_hold(scope)
  local old = redis.call('HGET', hold, scope)
  old = old and cjson.decode(old)
  if old and old['until'] > now then return end
  -- A hold that ran out and failed again in the same way lasts longer each time.
  if old and old.reason ~= class then old = nil end
  local tries = old and old.tries + 1 or 0
  local till = now + math.min(num(ARGV[19]) * 2 ^ math.min(tries, 20), num(ARGV[20]))
  redis.call('HSET', hold, scope, cjson.encode({ reason = class, code = code, priorities = ARGV[18], tries = tries,
    since = old and old.since or now, ['until'] = till }))
end

local function end_hold(scope, priority) -- a success after its time of what it held: whatever it was is over
  local old = redis.call('HGET', hold, scope)
  old = old and cjson.decode(old)
  if old and old['until'] <= now and (old.priorities == '' or string.find(old.priorities, priority, 1, true)) then
    redis.call('HDEL', hold, scope)
  end
end

local function index()
  if ARGV[12] == '' then return end
  local bucket = P .. 'x:' .. int(math.floor(now / 86400000)) .. ':' .. ARGV[13]
  redis.call('HSET', bucket, ARGV[14], id)
  if redis.call('HLEN', bucket) == 1 then redis.call('EXPIRE', bucket, ARGV[15]) end
end

local r = read(id)
if not r then return { '', 'gone' } end
local priority = r.pr

-- A word about an earlier attempt, while a later one is planned or under way.
if attempt ~= num(r.at) then
  if outcome ~= 'submitted' or string.find(r.log or '', mid, 1, true) then return { r.st, 'repeated' } end
  remember(id, r, attempt, int(now), 'submitted', mid, '')
  index()
  if r.st == 'sending' then
    redis.call('HSET', key, 'ls', mid) -- decided when that attempt reports
  elseif legal(r.st, 'submitted') then
    move(id, r, 'submitted', 'mid', mid)
    place(id, priority)
  else
    count('duplicates', 1)
  end
  return { r.st, 'noted' }
end

if r.oc and (r.oc ~= 'in_doubt' or outcome == 'in_doubt') then
  -- The same word again, because the reply to it was lost: while what it did stands, it is answered as the first time.
  return { r.st, r.oc == outcome and r.st == target and 'applied' or 'repeated' }
end

local late = r.st ~= 'sending' and r.st ~= 'in_doubt'
if late and outcome ~= 'submitted' then
  -- A refusal after a person or the policy has decided already: keep the fact, leave the decision.
  redis.call('HSET', key, 'oc', outcome, 'co', code, 'cl', class, 're', reason, 'mid', mid)
  return { r.st, 'noted' }
end
if r.ls and target ~= 'submitted' then
  -- This attempt failed, but an earlier one, thought lost, has meanwhile been taken: no need for another.
  target, mid = 'submitted', r.ls
elseif r.ls then
  count('duplicates', 1)
end
if late and not legal(r.st, 'submitted') then
  -- Gupshup took this attempt, too, while another's success stands already.
  if mid == r.mid then return { r.st, 'repeated' } end
  remember(id, r, attempt, r['in'] or '0', 'submitted', mid, '')
  redis.call('HSET', key, 'oc', outcome)
  index()
  count('duplicates', 1)
  return { r.st, 'noted' }
end

if target == 'submitted' then
  move(id, r, 'submitted', 'oc', outcome, 'mid', mid)
  index()
  redis.call('HDEL', key, 'dl', 'tok', 'nb', 'wf', 'ws', 'ls', 'co', 'cl', 're')
  place(id, priority)
  if redis.call('EXISTS', hold) == 1 then
    end_hold('sender', priority)
    end_hold('some', priority)
    end_hold('template:' .. (r.tp or ''), priority)
  end
  return { target, 'applied' }
end

local fields = { 'oc', outcome, 'co', code, 'cl', class, 're', reason }
if mid ~= '' then fields[#fields + 1] = 'mid'; fields[#fields + 1] = mid end
if not spent then fields[#fields + 1] = 'sp'; fields[#fields + 1] = math.max(num(r.sp) - 1, 0) end
if r.st == target then redis.call('HSET', key, unpack(fields)) else move(id, r, target, unpack(fields)) end
index()
if ARGV[17] ~= '' then set_hold(ARGV[17]) end
if target == 'dead' then
  redis.call('HDEL', key, 'dl', 'tok', 'nb')
  place(id, priority)
elseif target == 'queued' and waits_for == '' then
  redis.call('HSET', key, 'nb', int(now + delay))
  place(id, priority, 'due', now + delay + num(ARGV[16]))
else
  if target == 'queued' then redis.call('HSET', key, 'wf', waits_for, 'ws', r.ws or int(now)) end
  redis.call('HDEL', key, 'tok') -- this run is done with it
  place(id, priority, 'due', now + delay)
end
return { target, 'applied' }

-- commit records what one attempt came to. A fact is never thrown away: it is recorded whenever it comes, also when the claim
-- has long run out, and a success moves the message wherever it stands.
-- ARGV: 2 id, 3 attempt, 4 outcome (submitted, refused, not_sent, in_doubt), 5 next status (submitted, queued, dead, in_doubt),
--       6 delay until then (ms), 7 what it waits for ('' for a retry), 8 '1' if an attempt was spent, 9 code, 10 class, 11 reason,
--       12 messageId, 13 its bucket, 14 its field, 15 how long the index is kept (s), 16 slack behind a retry (ms),
--       17 … 27 what follows for others (see follow in hold.lua), 28 how long a callback may claim a doubt (ms),
--       29 time between two messages to one number (ms), 30 how many of them may go at once, 31 where its trace goes on ('' if it is not traced)
-- Returns: {status, 'applied' | 'turned' | 'noted' | 'repeated' | 'gone'}; turned: applied, but the message goes elsewhere than asked:
--          a dead letter waits behind a hold, because the failure is not its fault, or what was to wait is dead, because it is
local id, attempt, outcome, target, delay, waits_for = ARGV[2], num(ARGV[3]), ARGV[4], ARGV[5], num(ARGV[6]), ARGV[7]
local spent, code, class, reason, mid = ARGV[8] == '1', ARGV[9], ARGV[10], ARGV[11], ARGV[12]
local traced = ARGV[31] ~= '' and { 'tc', ARGV[31] } or {}
local key, kept, window = record(id), ARGV[15], num(ARGV[28])

local r = read(id)
if not r then return { '', 'gone' } end
local priority = r.pr

-- own gives the messageId to this attempt. If a callback had given it to another, that was a mistake.
local function own()
  local bucket = P .. 'x:' .. int(math.floor(now / 86400000)) .. ':' .. ARGV[13]
  if redis.call('HSETNX', bucket, ARGV[14], id .. ':' .. int(attempt) .. ':' .. stamp(r)) == 0 then
    local other, k = string.match(redis.call('HGET', bucket, ARGV[14]), '^(.*):(%d+):%d+$')
    redis.call('HSET', bucket, ARGV[14], id .. ':' .. int(attempt) .. ':' .. stamp(r))
    if other ~= id or num(k) ~= attempt then on().disown(other, num(k), id, r, attempt, window) end
  elseif redis.call('HLEN', bucket) == 1 then
    redis.call('EXPIRE', bucket, kept)
  end
end

-- succeed records that Gupshup took this attempt, with whatever has been heard of it already.
local function succeed()
  local latest, before = attempt == num(r.at), num(r.at) > 1 and on().good(r) or 0
  local known = (r.oc or r.log) and on().attempts(r)[attempt] -- what we had taken it to come to, if anything
  if known and known.outcome == 'submitted' and known.mid ~= mid then -- a callback of something else had claimed it
    on().forget(id, r, attempt)
    if latest and legal(r.st, 'in_doubt') then move(id, r, 'in_doubt') end
  end
  if latest then
    if legal(r.st, 'submitted') then
      move(id, r, 'submitted', 'mid', mid, unpack(traced))
      local over = {}
      for _, name in ipairs({ 'dl', 'tok', 'nb', 'wf', 'ws', 'oc', 'ac', 'co', 'cl', 're', 'wn', 'wm', 'hf', 'da' }) do
        if r[name] then over[#over + 1] = name end
      end
      if #over > 0 then redis.call('HDEL', key, unpack(over)) end
      place(id, priority)
    else
      redis.call('HSET', key, 'mid', mid)
      redis.call('HDEL', key, 'oc', 'ac')
    end
    r.oc, r.mid, r.ac = 'submitted', mid, nil
  else
    remember(id, r, attempt, int(known and known.at or now), 'submitted', mid, '')
  end
  if known and known.outcome == 'in_doubt' then on().leave_doubt(id, r, attempt) end
  own()
  local _, text
  if redis.call('EXISTS', P .. 'parked:' .. mid) == 1 then _, text = on().unpark(id, r, attempt, mid, kept) end
  if r.rc or num(r.at) > 1 then on().advance(id, r, before, text) end
end

-- A word about an earlier attempt, while a later one is planned or under way.
if attempt ~= num(r.at) then
  local known = on().attempts(r)[attempt]
  if known and known.outcome == 'in_doubt' and outcome ~= 'submitted' and outcome ~= 'in_doubt' then
    -- Gupshup said no, after all: no callback may claim it any more.
    remember(id, r, attempt, int(known.at), outcome, '', code)
    on().leave_doubt(id, r, attempt)
    return { r.st, 'noted' }
  end
  if outcome ~= 'submitted' or known and known.mid == mid then return { r.st, 'repeated' } end
  succeed()
  return { r.st, 'noted' }
end

if r.oc and (r.oc ~= 'in_doubt' or outcome == 'in_doubt') and (outcome ~= 'submitted' or r.mid == mid) then
  -- The same word again, because the reply to it was lost: while what it did stands, it is answered as the first time.
  if r.oc ~= outcome then return { r.st, 'repeated' } end
  if r.st == target then return { r.st, 'applied' } end
  return { r.st, (target == 'dead' and r.hs or target == 'queued' and r.st == 'dead') and 'turned' or 'repeated' }
end

if outcome == 'submitted' then
  local late = not legal(r.st, 'submitted')
  succeed()
  if redis.call('EXISTS', P .. 'hold', P .. 'run') > 0 then held().got_through(id, r, false) end
  return { r.st, late and 'noted' or 'applied' }
end

if r.st ~= 'sending' and r.st ~= 'in_doubt' then
  -- A refusal after a person, the policy or an earlier attempt's success has decided already: keep the fact, leave the decision.
  remember(id, r, attempt, r['in'] or '0', outcome, mid, code)
  redis.call('HSET', key, 'oc', outcome)
  r.oc = outcome
  if outcome == 'in_doubt' then on().enter_doubt(id, r, attempt, window) end
  return { r.st, 'noted' }
end

-- Before any write that needs memory: a full Redis must take what came of a request (see move).
if r.st == 'sending' then redis.call('ZREM', P .. 'wire', phone(r) .. ':' .. id) end
local asked, scope, waits_behind = target, nil, nil
target, scope, waits_behind = held().follow(id, r, asked, class, code, { unpack(ARGV, 17, 27) }, false)
if target ~= asked then spent = target == 'dead' end
if class == 'pair_throttled' then limits().slow_pair(r, delay, num(ARGV[29]), num(ARGV[30])) end
if outcome ~= 'in_doubt' and r.da then -- this attempt counted its number as a recipient of the day, and nobody was written to
  redis.call('ZREM', P .. 'daily', phone(r))
  redis.call('HDEL', key, 'da')
end

local fields = { 'oc', outcome, 'ac', code, 'co', code, 'cl', class, 're', reason }
if mid ~= '' then fields[#fields + 1] = 'mid'; fields[#fields + 1] = mid end
if traced[1] then fields[#fields + 1] = 'tc'; fields[#fields + 1] = traced[2] end
if not spent then fields[#fields + 1] = 'sp'; fields[#fields + 1] = math.max(num(r.sp) - 1, 0) end
if r.st == target then redis.call('HSET', key, unpack(fields)) else move(id, r, target, unpack(fields)) end
r.oc, r.co, r.cl, r.re = outcome, code, class, reason
if mid ~= '' then r.mid = mid; own() end
if target == 'dead' then
  redis.call('HDEL', key, 'dl', 'tok', 'nb')
  place(id, priority)
elseif scope then
  held().keep_back(id, r, scope, waits_behind)
elseif target == 'queued' and waits_for == '' then
  redis.call('HSET', key, 'nb', int(now + delay))
  place(id, priority, 'due', now + delay + num(ARGV[16]))
else
  if target == 'queued' then redis.call('HSET', key, 'wf', waits_for, 'ws', r.ws or int(now)) end
  redis.call('HDEL', key, 'tok', 'dq') -- this run is done with it
  place(id, priority, 'due', now + delay)
end
if outcome == 'in_doubt' then
  on().enter_doubt(id, r, attempt, window)
  on().look_back(id, r, attempt, window, kept)
end
if r.st == target then return { r.st, target == asked and 'applied' or 'turned' } end
return { r.st, 'noted' }

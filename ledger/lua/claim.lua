-- claim is asked by the handler that brings a message: may I send it? Yes means that the intent is written.
-- ARGV: 2 id, 3 generation of the task, 4 token of this handler run, 5 how long the claim holds (ms),
--       6 '1' if an operator pressed Run on the dead letter, 7 '1' if a session message needs an open session,
--       8 how long a callback may claim a doubt (ms), 9 how long the index is kept (s),
--       10 '1' if the task came by the express queue: the sweeper called for it, as a probe or for a decision,
--       11 '1' to be told only whether there is something to decide,
--       12 time between two messages to one number (ms, 0: any), 13 how many of them may go at once, 14 most recipients a day (0: any)
-- Returns: {verdict, now, status, attempt, spent, first intent, parked ms, expires at, priority, to, template id, in-doubt rule,
--           code, class, reason, messageId, content, until, created at, intent, '1' if the session it needs is not open,
--           where its trace goes on}
--   send    go on, the content is there          decide  the outcome of the last attempt wants a decision
--   busy    another run has it, sends or decides wait    its time has not come, the due set will bring it
--   stale   a newer task stands for it           held    parked: behind a hold, or until `until`
--   ready   nothing to decide: claim it, when its slot has come
--   expired, suppressed, settled, dead, gone     nothing to send
local id, generation, token, lease, replay = ARGV[2], num(ARGV[3]), ARGV[4], num(ARGV[5]), ARGV[6] == '1'
local express, only_look = ARGV[10] == '1', ARGV[11] == '1'
local SLOT = 60000 -- ms for which a probe may wait for its slot: the handler waits no longer, see express in worker/handler.go
local key = record(id)
local r = read(id)
if not r then return { 'gone', int(now) } end
local priority = r.pr

local template, content, no_session = r.uf and r.ft or r.tp, r.uf and r.fb or r.ct, '0'

local function reply(verdict, till)
  return { verdict, int(now), r.st, num(r.at), num(r.sp), r.fi or '0', r.pk or '0', r.ex or '0', priority, r.to, template or '',
    r.od or '', r.co or '', r.cl or '', r.re or '', r.mid or '', verdict == 'send' and content or '', int(till or 0), r.ca, r['in'] or '0',
    no_session, r.tc or '' }
end

-- choose decides what to send to a user who may not have written to us within a day.
local function choose()
  if ARGV[7] ~= '1' or r.tp then return end
  local last = num(redis.call('ZSCORE', P .. 'session', phone(r)))
  if now - last < 86400000 then
    template, content = nil, r.ct
    if r.uf then redis.call('HDEL', key, 'uf') end
  elseif r.fb then
    template, content = r.ft, r.fb
    if not r.uf then redis.call('HSET', key, 'uf', 1) end
  else
    no_session = '1'
  end
end

if generation < num(r.gen) then return reply('stale') end

if r.st == 'sending' then
  if r.tok == token then choose() return reply('send') end -- the same call, repeated
  if now < num(r.dl) then return reply('busy') end
  -- Whoever claimed it is gone, and so is what Gupshup said. The intent stands, so it may have been sent.
  r.oc, r.co, r.cl, r.re = 'in_doubt', 'claim_lost', 'in_doubt', 'the worker that was sending it is gone'
  r.ac = r.co
  move(id, r, 'in_doubt', 'oc', r.oc, 'ac', r.ac, 'co', r.co, 'cl', r.cl, 're', r.re)
  r.tok = nil
  redis.call('HDEL', key, 'tok')
  place(id, priority, 'due', now)
  on().enter_doubt(id, r, num(r.at), num(ARGV[8]))
end

if r.st == 'in_doubt' or r.st == 'failed' then
  -- One run decides at a time, when the sweeper has called for it; if it dies, the due set brings the message again.
  local due = num(redis.call('ZSCORE', P .. 'due', id))
  if due > now and r.tok ~= token and (r.tok or not r.dq) then return reply(r.tok and 'busy' or 'wait') end
  -- Before anybody decides: receipts may be waiting that could not be told from another message's when they came.
  if r.st == 'in_doubt' and on().look_back(id, r, num(r.at), num(ARGV[8]), ARGV[9]) and r.st ~= 'failed' then return reply('settled') end
  redis.call('HSET', key, 'tok', token)
  redis.call('HDEL', key, 'dq')
  place(id, priority, 'due', now + lease)
  return reply('decide')
end

if only_look then
  -- It may wait for its slot now, and nobody is to call for it again meanwhile.
  if express and r.st == 'queued' and held().probing(id, now + SLOT + lease) then place(id, priority, 'due', now + SLOT + lease) end
  return reply('ready')
end

if r.st == 'dead' and replay and not suppressed(phone(r), priority)
  and not (r.cm and redis.call('HGET', P .. 'c:' .. r.cm, 'st') == 'cancelled') then
  -- As if new, save for its history: a person decided that it is worth another budget of attempts.
  r.sp, r.fi, r.pk, r.nb, r.ex, r.hf = nil, nil, nil, nil, nil, nil
  move(id, r, 'queued')
  redis.call('HDEL', key, 'sp', 'fi', 'pk', 'nb', 'ex', 'hf')
elseif r.st ~= 'queued' then
  return reply(r.st == 'dead' and 'dead' or 'settled')
end

-- give_back lets what this message was to be tried with be tried with another, since it cannot go now.
local function give_back()
  if express then held().missed(id, false, false, false) end
end

if r.ex and now >= num(r.ex) then
  move(id, r, 'expired')
  place(id, priority)
  give_back()
  return reply('expired')
end

local campaign, opens
if r.cm then campaign, opens = windows().look(r) end
if campaign == 'cancelled' then
  take_back(id, r)
  give_back()
  return reply('settled')
end

local entry = suppressed(phone(r), priority)
if entry then
  suppress_now(id, r, entry)
  give_back()
  return reply('suppressed')
end

local since = redis.call('ZSCORE', P .. 'waiting:' .. priority, id)
if since then
  redis.call('ZADD', P .. 'mark', 'GT', since, priority) -- the latest enqueue time that was claimed
else
  -- A message in the due set has its time still to come. Only the task of a retry may come a little early: asynq keeps its time
  -- by the worker's clock, and the due entry stands behind it in case the task is lost.
  local due = num(redis.call('ZSCORE', P .. 'due', id))
  local probing = express and held().probing(id, now + lease + 1000)
  if due > now and not probing and not (r.nb and now >= num(r.nb) - 1000) then return reply('wait') end
  if r.hs then return reply('wait') end -- behind a hold; the sweeper lets it go
end

choose()
if redis.call('EXISTS', P .. 'hold') == 1 then
  local scope, hold = held().holding(id, priority, template or '', r.cm)
  if scope then
    give_back()
    held().keep_back(id, r, scope, hold.reason)
    return reply('held', hold['until'])
  end
end
if opens then
  windows().park(id, r, opens)
  give_back()
  return reply('held', opens)
end
if ARGV[12] ~= '0' or ARGV[14] ~= '0' then
  local opens, what = limits().limited(id, r, template, num(ARGV[12]), num(ARGV[13]), num(ARGV[14]))
  if opens then
    redis.call('HSET', key, 'wf', what, 'ws', r.ws or NOW)
    redis.call('HDEL', key, 'nb')
    place(id, priority, 'due', opens)
    give_back()
    return reply('held', opens)
  end
end

local attempt = num(r.at)
if attempt > 0 then remember(id, r, attempt, r['in'] or '0', r.oc or '', r.mid or '', r.ac or '') end
if r.ws then redis.call('HSET', key, 'pk', int(num(r.pk) + now - num(r.ws))) end
if attempt > 0 or r.ws then redis.call('HDEL', key, 'oc', 'ac', 'co', 'cl', 're', 'mid', 'nb', 'wf', 'ws', 'dq') end
if r.ws then r.pk = int(num(r.pk) + now - num(r.ws)) end
if r.fi then redis.call('HSET', key, 'fi', r.fi) end -- at the first attempt it is 'in'
r.at, r.sp, r.fi, r['in'] = int(attempt + 1), int(num(r.sp) + 1), r.fi or NOW, NOW
r.co, r.cl, r.re, r.mid, r.oc, r.ac = nil, nil, nil, nil, nil, nil
move(id, r, 'sending', 'at', r.at, 'sp', r.sp, 'tok', token, 'in', NOW, 'dl', int(now + lease))
place(id, priority, 'due', now + lease)
return reply('send')

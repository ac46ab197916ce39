-- claim is asked by the handler that brings a message: may I send it? Yes means that the intent is written.
-- ARGV: 2 id, 3 generation of the task, 4 token of this handler run, 5 how long the claim holds (ms),
--       6 '1' if an operator pressed Run on the dead letter
-- Returns: {verdict, now, status, attempt, spent, first intent, parked ms, expires at, priority, to, template id, in-doubt rule,
--           code, class, reason, messageId, content, until, created at, intent}
--   send    go on, the content is there          decide  the outcome of the last attempt wants a decision
--   busy    another run is sending it            wait    its time has not come, the due set will bring it
--   stale   a newer task stands for it           held    parked behind a hold until `until`
--   expired, settled, dead, gone                 nothing to send
local id, generation, token, lease, replay = ARGV[2], num(ARGV[3]), ARGV[4], num(ARGV[5]), ARGV[6] == '1'
local key = record(id)
local r = redis.call('HMGET', key, 'st', 'pr', 'gen', 'at', 'sp', 'fi', 'pk', 'ex', 'to', 'tp', 'od', 'co', 'cl', 're',
  'mid', 'tok', 'dl', 'nb', 'ws', 'oc', 'in', 'ls', 'ca')
local st, priority, attempt = r[1], r[2], num(r[4])
if not st then return { 'gone', int(now) } end

local function reply(verdict, content, till)
  return { verdict, int(now), st, attempt, num(r[5]), r[6] or '0', r[7] or '0', r[8] or '0', priority, r[9], r[10] or '',
    r[11] or '', r[12] or '', r[13] or '', r[14] or '', r[15] or '', content or '', int(till or 0), r[23] or '0', r[21] or '0' }
end

if generation < num(r[3]) then return reply('stale') end

if st == 'sending' then
  if r[16] == token then return reply('send', redis.call('HGET', key, 'ct')) end -- the same call, repeated
  if now < num(r[17]) then return reply('busy') end
  if r[22] then -- an earlier attempt, thought lost, has meanwhile been taken: whatever became of this one, it is done
    move(id, 'sending', 'submitted')
    redis.call('HSET', key, 'mid', r[22])
    redis.call('HDEL', key, 'dl', 'tok', 'ls')
    place(id, priority)
    st = 'submitted'
    return reply('settled')
  end
  -- Whoever claimed it is gone, and so is what Gupshup said. The intent stands, so it may have been sent.
  move(id, 'sending', 'in_doubt')
  redis.call('HSET', key, 'oc', 'in_doubt', 'co', 'claim_lost', 'cl', 'in_doubt', 're', 'the worker that was sending it is gone')
  st, r[12], r[13], r[14], r[16] = 'in_doubt', 'claim_lost', 'in_doubt', 'the worker that was sending it is gone', ''
  place(id, priority, 'due', now)
end

if st == 'in_doubt' or st == 'failed' then
  -- One run decides at a time; if it dies, the due set brings the message again.
  local due = num(redis.call('ZSCORE', P .. 'due', id))
  if due > now and r[16] ~= token then return reply('wait') end
  redis.call('HSET', key, 'tok', token)
  place(id, priority, 'due', now + lease)
  return reply('decide')
end

if st == 'dead' and replay then
  -- As if new, save for its history: a person decided that it is worth another budget of attempts.
  move(id, 'dead', 'queued')
  redis.call('HDEL', key, 'sp', 'fi', 'pk', 'nb', 'ex')
  r[5], r[6], r[7], r[8], r[18], st = 0, '0', '0', '0', nil, 'queued'
elseif st ~= 'queued' then
  return reply(st == 'dead' and 'dead' or 'settled')
end

if num(r[8]) > 0 and now >= num(r[8]) then
  move(id, 'queued', 'expired')
  place(id, priority)
  st = 'expired'
  return reply('expired')
end

-- A message in the due set has its time still to come. Only the task of a retry may come a little early: asynq keeps its time
-- by the worker's clock, and the due entry stands behind it in case the task is lost.
local due = num(redis.call('ZSCORE', P .. 'due', id))
if due > now and not (r[18] and now >= num(r[18]) - 1000) then return reply('wait') end

local holds = redis.call('HMGET', P .. 'hold', 'sender', 'template:' .. (r[10] or ''))
for i = 1, 2 do
  local hold = holds[i] and cjson.decode(holds[i])
  if hold and hold['until'] > now and (hold.priorities == '' or string.find(hold.priorities, priority, 1, true)) then
    redis.call('HSET', key, 'wf', hold.reason, 'ws', r[19] or int(now))
    redis.call('HDEL', key, 'nb')
    place(id, priority, 'due', hold['until'])
    return reply('held', nil, hold['until'])
  end
end

local since = num(redis.call('ZSCORE', P .. 'waiting:' .. priority, id))
if since > num(redis.call('HGET', P .. 'mark', priority)) then redis.call('HSET', P .. 'mark', priority, int(since)) end
if attempt > 0 then remember(key, attempt, r[21] or '0', r[20] or '', r[15] or '', r[12] or '') end
attempt = attempt + 1
r[5] = num(r[5]) + 1
r[6] = r[6] or int(now)
if r[6] == '0' then r[6] = int(now) end
if r[19] then r[7] = int(num(r[7]) + now - num(r[19])) end
move(id, 'queued', 'sending')
r[21] = int(now)
redis.call('HSET', key, 'at', attempt, 'sp', r[5], 'fi', r[6], 'tok', token, 'in', int(now), 'dl', int(now + lease))
if r[19] then redis.call('HSET', key, 'pk', r[7]) end
if attempt > 1 or r[19] then redis.call('HDEL', key, 'oc', 'co', 'cl', 're', 'mid', 'nb', 'wf', 'ws', 'sa') end
place(id, priority, 'due', now + lease)
st, r[12], r[13], r[14], r[15] = 'sending', '', '', '', ''
return reply('send', redis.call('HGET', key, 'ct'))

-- resolve records what the policy decided about a message in doubt or failed by callback. Only the run whose claim answered
-- 'decide' may do it, and only while nothing newer is known.
-- ARGV: 2 id, 3 attempt, 4 token, 5 next status (queued, dead, in_doubt), 6 delay (ms), 7 code, 8 class, 9 reason,
--       10 what it waits for
-- Returns: {status, 'applied' | 'overtaken' | 'gone'}
local id, attempt, token, target, delay = ARGV[2], num(ARGV[3]), ARGV[4], ARGV[5], num(ARGV[6])
local key = record(id)
local r = redis.call('HMGET', key, 'st', 'pr', 'at', 'tok')
local st, priority = r[1], r[2]
if not st then return { '', 'gone' } end
if (st ~= 'in_doubt' and st ~= 'failed') or attempt ~= num(r[3]) or token ~= r[4] then return { st, 'overtaken' } end
if st ~= target then move(id, st, target) end
redis.call('HDEL', key, 'tok')
if target == 'dead' then
  redis.call('HSET', key, 'co', ARGV[7], 'cl', ARGV[8], 're', ARGV[9])
  place(id, priority)
else
  if target == 'queued' and ARGV[10] ~= '' then redis.call('HSET', key, 'wf', ARGV[10], 'ws', int(now)) end
  place(id, priority, 'due', now + delay)
end
return { target, 'applied' }

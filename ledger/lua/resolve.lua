-- resolve records what the policy decided about a message in doubt or failed by callback. Only the run whose claim answered
-- 'decide' may do it, and only while nothing newer is known.
-- ARGV: 2 id, 3 attempt, 4 token, 5 next status (queued, dead, in_doubt), 6 delay (ms), 7 code, 8 class, 9 reason,
--       10 what it waits for
-- Returns: {status, 'applied' | 'overtaken' | 'gone'}
local id, attempt, token, target, delay = ARGV[2], num(ARGV[3]), ARGV[4], ARGV[5], num(ARGV[6])
local key = record(id)
local r = read(id)
if not r then return { '', 'gone' } end
if attempt ~= num(r.at) or token ~= r.tok then return { r.st, 'overtaken' } end
if r.st ~= 'in_doubt' and r.st ~= 'failed' then
  -- The token is still there: nothing has happened since this very decision, whose reply was lost.
  return { r.st, r.st == target and 'applied' or 'overtaken' }
end
if target == 'dead' then
  move(id, r, 'dead', 'co', ARGV[7], 'cl', ARGV[8], 're', ARGV[9])
  place(id, r.pr)
else
  if r.st ~= target then move(id, r, target) end
  if target == 'queued' and ARGV[10] ~= '' then redis.call('HSET', key, 'wf', ARGV[10], 'ws', int(now)) end
  place(id, r.pr, 'due', now + delay)
  if target == 'in_doubt' then redis.call('HDEL', key, 'tok') end -- this run is done with it
end
return { target, 'applied' }

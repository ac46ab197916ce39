-- resolve records what the policy decided about a message in doubt or failed by callback. Only the run whose claim answered
-- 'decide' may do it, and only while nothing newer is known.
-- ARGV: 2 id, 3 attempt, 4 token, 5 next status (queued, dead, in_doubt), 6 delay (ms), 7 code, 8 class, 9 reason,
--       10 what it waits for ('' for a retry), 11 '1' if the attempt counts, 12 slack behind a retry (ms),
--       13 … 23 what follows for others (see follow in hold.lua), 24 time between two messages to one number (ms),
--       25 how many of them may go at once
-- Returns: {status, 'applied' | 'turned' | 'overtaken' | 'gone'}; turned as in commit.lua
local id, attempt, token, target, delay = ARGV[2], num(ARGV[3]), ARGV[4], ARGV[5], num(ARGV[6])
local code, class, reason, waits_for = ARGV[7], ARGV[8], ARGV[9], ARGV[10]
local key = record(id)
local r = read(id)
if not r then return { '', 'gone' } end
if attempt ~= num(r.at) or token ~= r.tok then return { r.st, 'overtaken' } end
if r.st ~= 'in_doubt' and r.st ~= 'failed' then
  -- The token is still there: nothing has happened since this very decision, whose reply was lost.
  if r.st == target then return { r.st, 'applied' } end
  return { r.st, (target == 'dead' and r.hs or target == 'queued' and r.st == 'dead') and 'turned' or 'overtaken' }
end
local asked, counts, scope, waits_behind = target, ARGV[11] == '1', nil, nil
target, scope, waits_behind = held().follow(id, r, asked, class, code, { unpack(ARGV, 13, 23) }, true)
if target ~= asked then counts = target == 'dead' end
if class == 'pair_throttled' then limits().slow_pair(r, delay, num(ARGV[24]), num(ARGV[25])) end
if target == 'in_doubt' then -- wait longer, where it stands: a failure that may be none stays a failure until its time is over
  place(id, r.pr, 'due', now + delay)
  redis.call('HDEL', key, 'tok', 'dq') -- this run is done with it
  return { target, 'applied' }
end
local fields = { 'co', code, 'cl', class, 're', reason }
if not counts then fields[#fields + 1] = 'sp'; fields[#fields + 1] = math.max(num(r.sp) - 1, 0) end
move(id, r, target, unpack(fields))
if target == 'dead' then
  place(id, r.pr)
elseif scope then
  held().keep_back(id, r, scope, waits_behind)
elseif waits_for ~= '' then
  redis.call('HSET', key, 'wf', waits_for, 'ws', int(now))
  place(id, r.pr, 'due', now + delay)
else
  redis.call('HSET', key, 'nb', int(now + delay))
  place(id, r.pr, 'due', now + delay + num(ARGV[12]))
end
return { target, target == asked and 'applied' or 'turned' }

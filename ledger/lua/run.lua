-- run is asked when a person presses Run on a message's task in asynq's web UI: would it send? A retry is let go at once: its task may
-- then claim it, however far off its time is. The due entry stands, in case the task is lost.
-- ARGV: 2 id, 3 generation of the task
-- Returns: {'dead', code} a dead letter, which its task sends again | {'queued'} its task sends it | {'stale'} a newer task stands for it
--          | {'suppressed', code} | {'cancelled', campaign} | {'waits', what for} no task is to bring it | {'no', status} there is nothing to send | {'gone'}
local id = ARGV[2]
local r = read(id)
if not r then return { 'gone' } end
if num(ARGV[3]) ~= num(r.gen) then return { 'stale' } end
if r.st == 'dead' then
  local entry = suppressed(phone(r), r.pr)
  if entry then return { 'suppressed', entry.code } end
  if r.cm and redis.call('HGET', P .. 'c:' .. r.cm, 'st') == 'cancelled' then return { 'cancelled', r.cm } end
  return { 'dead', r.co or '' }
end
if r.st ~= 'queued' then return { 'no', r.st } end
if redis.call('ZSCORE', P .. 'waiting:' .. r.pr, id) then return { 'queued' } end
if r.hs or not r.nb then return { 'waits', r.wf or '' } end
if num(r.nb) > now then redis.call('HSET', record(id), 'nb', NOW) end
return { 'queued' }

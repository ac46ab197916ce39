-- campaign_clear takes messages of a cancelled campaign back, those that were not sent.
-- ARGV: 2 id, 3 and 4 how far back that is then (chunk, rows of it), 5 '1' if that is all,
--       then of each row: its message's id, the id that follows from its line
-- Returns: how many were taken back
local id, n = ARGV[2], 0
local st = redis.call('HGET', camp_key(id), 'st')
if st ~= 'cancelled' then return 0 end
for i = 6, #ARGV, 2 do
  local mid = camp_id(id, ARGV[i], ARGV[i + 1])
  local r = mid and read(mid)
  if r and r.st == 'queued' then
    take_back(mid, r)
    n = n + 1
  end
end
redis.call('HSET', camp_key(id), 'cc', ARGV[3], 'cf', ARGV[4], 'cd', ARGV[5])
return n

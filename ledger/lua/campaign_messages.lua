-- campaign_messages tells what became of rows.
-- ARGV: 2 campaign, then of each row: its message's id, the id that follows from its line
-- Returns: a list of {id, state, code, messageId, reason, attempts, updated}; only the id if there is no record any more
local out = {}
for i = 3, #ARGV, 2 do
  local mid = camp_id(ARGV[2], ARGV[i], ARGV[i + 1])
  if mid then
    local r = redis.call('HMGET', record(mid), 'st', 'co', 'wm', 'mid', 're', 'at', 'ua')
    out[#out + 1] = { mid, r[1] or '', r[2] or '', r[3] or r[4] or '', r[5] or '', num(r[6]), r[7] or '' }
  else
    out[#out + 1] = { ARGV[i] }
  end
end
return out

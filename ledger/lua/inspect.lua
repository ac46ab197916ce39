-- inspect tells of each message its state and its places, for the deep audit.
-- ARGV: 2… ids
-- Returns: a list of {id, status, priority, in waiting, in due, in dead}
local out = {}
for i = 2, #ARGV do
  local r = redis.call('HMGET', record(ARGV[i]), 'st', 'pr')
  if r[1] then
    local function has(set) return redis.call('ZSCORE', P .. set, ARGV[i]) and 1 or 0 end
    local waiting = 0
    for _, priority in ipairs({ 'critical', 'default', 'bulk' }) do waiting = waiting + has('waiting:' .. priority) end
    out[#out + 1] = { ARGV[i], r[1], r[2] or '', waiting, has('due'), has('dead') }
  else
    out[#out + 1] = { ARGV[i], '', '', 0, 0, 0 }
  end
end
return out

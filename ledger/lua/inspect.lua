-- inspect tells of each message its state and its places, for the deep audit.
-- ARGV: 2… ids
-- Returns: a list of {id, status or '', priority, in waiting, in due, in dead}
local out = {}
for i = 2, #ARGV do
  local id = ARGV[i]
  local r = redis.call('HMGET', record(id), 'st', 'pr')
  local function has(set) return redis.call('ZSCORE', P .. set, id) and 1 or 0 end
  local waiting = has('waiting:critical') + has('waiting:default') + has('waiting:bulk')
  out[#out + 1] = { id, r[1] or '', r[2] or '', waiting, has('due'), has('dead') }
end
return out

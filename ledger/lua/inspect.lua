-- inspect tells of each message its state and its places, for the deep audit.
-- ARGV: 2… ids
-- Returns: a list of {id, status or '', priority, places (in waiting, in due, behind holds), in dead}
local out, scopes = {}, redis.call('HKEYS', P .. 'hold')
for i = 2, #ARGV do
  local id = ARGV[i]
  local r = redis.call('HMGET', record(id), 'st', 'pr')
  local function has(set) return redis.call('ZSCORE', P .. set, id) and 1 or 0 end
  local places = has('waiting:critical') + has('waiting:default') + has('waiting:bulk') + has('due')
  for _, scope in ipairs(scopes) do places = places + has('held:' .. scope) end
  out[#out + 1] = { id, r[1] or '', r[2] or '', places, has('dead') }
end
return out

-- holds tells what is held, and what waits.
-- Returns: {messages in the queues: critical, default, bulk; lists of {scope, hold as JSON, waiting behind it: critical, default, bulk}}
local out = {}
for scope, h in pairs(held().all_holds()) do
  local key, waits = P .. 'held:' .. scope, {}
  for i = 0, 2 do waits[i + 1] = redis.call('ZCOUNT', key, int(i * 4e12), '(' .. int((i + 1) * 4e12)) end
  out[#out + 1] = { scope, cjson.encode(h), unpack(waits) }
end
return { redis.call('ZCARD', P .. 'waiting:critical'), redis.call('ZCARD', P .. 'waiting:default'), redis.call('ZCARD', P .. 'waiting:bulk'), out }

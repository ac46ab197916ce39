-- holds tells what is held, what waits, and how much of the day's budget is used.
-- Returns: {messages in the queues: critical, default, bulk; lists of {scope, hold as JSON, waiting behind it: critical, default, bulk};
--           numbers in the day's budget, queued messages, numbers that WhatsApp said got too much}
local out = {}
for scope, h in pairs(held().all_holds()) do
  local key, waits = P .. 'held:' .. scope, {}
  for i, priority in ipairs({ 'critical', 'default', 'bulk' }) do
    local from, to = held().band(priority)
    waits[i] = redis.call('ZCOUNT', key, int(from), '(' .. int(to))
  end
  out[#out + 1] = { scope, cjson.encode(h), unpack(waits) }
end
return { redis.call('ZCARD', P .. 'waiting:critical'), redis.call('ZCARD', P .. 'waiting:default'), redis.call('ZCARD', P .. 'waiting:bulk'), out,
  redis.call('ZCOUNT', P .. 'daily', '(' .. int(now - 86400000), '+inf'), num(redis.call('HGET', P .. 'count', 'queued')),
  redis.call('ZCOUNT', P .. 'slowed', '(' .. NOW, '+inf') }

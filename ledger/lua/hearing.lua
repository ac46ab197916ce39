-- hearing tells how a sender's callbacks are coming in. What has been parked for more than an hour is given up on the way.
-- Returns: {ms of the latest receipt, parked messageIds, ms of the oldest, given up so far}
local old = redis.call('ZRANGEBYSCORE', P .. 'parked', '-inf', int(now - 3600000), 'LIMIT', 0, 1000)
for _, mid in ipairs(old) do redis.call('DEL', P .. 'parked:' .. mid) end
if #old > 0 then
  redis.call('ZREM', P .. 'parked', unpack(old))
  redis.call('HINCRBY', P .. 'heard', 'dropped', #old)
end
local heard = redis.call('HMGET', P .. 'heard', 'last', 'dropped')
local first = redis.call('ZRANGE', P .. 'parked', 0, 0, 'WITHSCORES')
return { heard[1] or '0', redis.call('ZCARD', P .. 'parked'), first[2] or '0', heard[2] or '0' }

-- Slows one sender down for all replicas: cuts its rate, and stops it if there is a time to stop for.
--
-- KEYS[1]  the sender's hash, see slowed.lua and reserve.lua
-- ARGV     offset (us, 0 in production), step (part of the rate), every (us), when the refused message was sent, or the since that
--          the caller's slots were taken under (us, 0: none), what a cut leaves of the rate, the least part, guard (us), stop (us, 0: none)
-- returns  {since (us), now (us), guarded (us)}: for so long there will be no other cut
--
-- There is no cut within the guard after one, nor during a stop: what is refused then was sent before. Nor is there one if the rate was
-- cut since the message was sent. So all who were refused in one burst cut once, and a call that is applied twice cuts once; its
-- stop begins anew then, which makes it longer by as long as the client took to repeat it.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2]) + tonumber(ARGV[1])
local step, every = tonumber(ARGV[2]), tonumber(ARGV[3])
local known, leaves, least = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local guard, stop = tonumber(ARGV[7]), tonumber(ARGV[8])

local saved = redis.call('HMGET', KEYS[1], 'share', 'since', 'slowed')
local part, since = pace(saved[1], saved[2], saved[3], now, step, every)
local changed = false
if since <= known and now >= since + guard then
  part, since, changed = math.max(least, part * leaves), now, true
end
if stop > 0 and now + stop > since then
  since, changed = now + stop, true
end
if changed then
  redis.call('HSET', KEYS[1], 'share', string.format('%.9f', part), 'since', string.format('%.0f', since), 'slowed', string.format('%.0f', now))
  -- It vanishes once the sender is at its rate again. What else is in the hash may have to stay longer.
  local recovered = math.ceil((since - now + math.ceil((1 - part) / step) * every) / 1000) + 10000
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.max(recovered, redis.call('PTTL', KEYS[1]))))
end
return {since, now, math.max(0, since + guard - now)}

-- Reads the pace of one sender, whether it has ever sent or not.
--
-- KEYS[1]  the sender's hash, see slowed.lua and reserve.lua
-- ARGV     offset (us, 0 in production), step (part of the rate), every (us)
-- returns  {millionths of the rate that count now, stopped until (us, 0: not stopped), thousandths of slots taken in the last second}
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2]) + tonumber(ARGV[1])
local saved = redis.call('HMGET', KEYS[1], 'share', 'since', 'slowed', 'second', 'count', 'before')
local part, since = pace(saved[1], saved[2], saved[3], now, tonumber(ARGV[2]), tonumber(ARGV[3]))
if since <= now then since = 0 end

-- The last second is all of this one and the rest of the one before, taken to be even.
local this = math.floor(now / 1000000)
local count, before = counted(saved[4], saved[5], saved[6], this)
local used = count + before * (1 - (now / 1000000 - this))
return {math.floor(part * 1000000 + 0.5), since, math.floor(used * 1000 + 0.5)}

-- Takes slots of one sender's schedule. A slot is a moment; two slots are at least one spacing apart, beyond the burst.
--
-- KEYS[1]  hash: tat     the schedule's next free moment (theoretical arrival time), microseconds
--                bulk    the same for bulk alone, at its share of the rate
--                urgent  when a message more urgent than bulk was last seen by any replica
--                share, since, slowed   how far the sender is slowed down, see slowed.lua; written by slow.lua
--                second, count, before  slots taken in that second of the clock, and in the one before
-- ARGV     offset (us, 0 in production; tests move the clock with it), spacing (ns), burst, urgent slots wanted,
--          bulk slots wanted, 1 if urgent messages were seen, ahead (us), bulk's ahead (us), bulk's share, urgent's memory (us),
--          step (part of the rate), every (us)
-- returns  {urgent slots taken, bulk slots taken, first, spacing (ns), now (us), next (us), since (us)}
--          Slot i is due at now + max(0, first + i * spacing); first (us) is negative by what is left of the burst.
--          next says in how many microseconds more can be taken of what was wanted and not given; 0 if all was given.
--          since says when the sender was slowed down, or until when it is stopped; 0: it is not slowed down.
--
-- Applied twice, it takes twice: slots are lost, and the sender is slower than its rate for a moment, never faster.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2]) + tonumber(ARGV[1])
local saved = redis.call('HMGET', KEYS[1], 'tat', 'bulk', 'urgent', 'share', 'since', 'slowed', 'second', 'count', 'before')
local part, since, slowed = pace(saved[4], saved[5], saved[6], now, tonumber(ARGV[11]), tonumber(ARGV[12]))
local stopped = math.max(0, since - now)
local spacing_ns = math.ceil(tonumber(ARGV[2]) / part)
local spacing = spacing_ns / 1000
-- The burst is a time at the full rate: a slowed sender has less of it. Were it a number, each cut would grant some at once.
local tolerance = (tonumber(ARGV[3]) - 1) * tonumber(ARGV[2]) / 1000
local want_urgent, want_bulk = tonumber(ARGV[4]), tonumber(ARGV[5])
local seen = ARGV[6] == '1' or want_urgent > 0
local ahead, bulk_ahead = tonumber(ARGV[7]), tonumber(ARGV[8])
local bulk_spacing = spacing / tonumber(ARGV[9])
local memory = tonumber(ARGV[10])

-- load reads a moment of the schedule: never in the past, and never further off than a reservation can have put it.
-- It is further off only when Redis's clock went back or the rate was raised, as it is by every step after a cut; without the
-- limit the sender would stand still until the old moment came. Nothing reserved before lies beyond the limit, so this cannot make
-- it too fast: two slots are never closer than the smaller of their spacings.
local function load(value, gap)
  return math.min(math.max(tonumber(value) or 0, now), math.ceil(now + ahead + tolerance + gap))
end

-- fits counts the moments tat, tat + gap, ... that lie within the horizon.
local function fits(tat, gap, horizon)
  return math.max(0, math.floor((now + horizon + tolerance - tat) / gap) + 1)
end

-- opens tells how long it takes until the moment tat lies within the horizon.
local function opens(tat, horizon)
  return math.max(0, math.ceil(tat - tolerance - horizon - now))
end

local tat = load(saved[1], spacing)
local bulk_tat = load(saved[2], bulk_spacing)
local urgent_at = math.min(tonumber(saved[3]) or 0, now)
if seen then urgent_at = now end
local quiet = now - urgent_at > memory
if quiet then bulk_ahead = ahead end

if stopped > 0 then want_urgent, want_bulk = 0, 0 end
local first = math.ceil(tat - tolerance - now)
local urgent = math.min(want_urgent, fits(tat, spacing, ahead))
local free = tat + urgent * spacing
local bulk = math.min(want_bulk, fits(free, spacing, bulk_ahead))
if not quiet then bulk = math.min(bulk, fits(bulk_tat, bulk_spacing, bulk_ahead)) end

-- Moments are kept as whole microseconds, rounded up: a batch never starts too early, and loses less than one of them.
tat = math.ceil(tat + (urgent + bulk) * spacing)
if quiet then
  bulk_tat = math.max(bulk_tat, tat) -- bulk alone is on the road: its share starts where the schedule stands
else
  bulk_tat = math.ceil(bulk_tat + bulk * bulk_spacing)
end

local next_us
if urgent < want_urgent then next_us = opens(tat, ahead) end
if bulk < want_bulk then
  local at = opens(tat, bulk_ahead)
  if not quiet then at = math.max(at, opens(bulk_tat, bulk_ahead)) end
  next_us = math.min(next_us or at, at)
end
if stopped > 0 then next_us = math.ceil(stopped) end

local this = math.floor(now / 1000000)
local count, before = counted(saved[7], saved[8], saved[9], this)
redis.call('HSET', KEYS[1], 'tat', string.format('%.0f', tat), 'bulk', string.format('%.0f', bulk_tat),
  'urgent', string.format('%.0f', urgent_at), 'second', string.format('%.0f', this),
  'count', string.format('%.0f', count + urgent + bulk), 'before', string.format('%.0f', before))
local recovered = 0
if saved[4] then
  if part < 1 or stopped > 0 then
    if slowed ~= tonumber(saved[6]) then -- the clock went back
      redis.call('HSET', KEYS[1], 'since', string.format('%.0f', since), 'slowed', string.format('%.0f', slowed))
    end
    recovered = stopped + math.ceil((1 - part) / tonumber(ARGV[11])) * tonumber(ARGV[12])
  else
    redis.call('HDEL', KEYS[1], 'share', 'since', 'slowed')
    since = 0
  end
end
-- An idle sender leaves nothing behind: 10 s after its last moment the key says nothing that its absence would not say.
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil(math.max(tat - now, bulk_tat - now, recovered) / 1000) + 10000))
return {urgent, bulk, first, spacing_ns, now, next_us or 0, since}

-- In front of every script of this package: how a sender's hash tells its pace.
--
--   share   the part of the rate at which it goes on from since; absent while it was not slowed down
--   since   when it goes on, microseconds: the time of the cut, or the end of a stop. Before it nothing is granted.
--   slowed  when share and since were written

-- pace returns the part of the rate that counts now, and since (0: not slowed down) and slowed. From since on, the part rises by one
-- step at a time; nobody writes that down, it follows from the clock.
local function pace(share, since, slowed, now, step, every)
  share, since, slowed = tonumber(share), tonumber(since), tonumber(slowed)
  if not share then return 1, 0, 0 end
  if slowed > now then -- Redis's clock went back: a stop lasts as long as it was to last, not until the clock is there again
    since, slowed = since - slowed + now, now
  end
  local part = share + math.floor(math.max(0, now - since) / every) * step
  if part > 1 - 1e-9 then part = 1 end
  return part, since, slowed
end

-- counted returns how many slots were taken in this second and in the one before.
local function counted(second, count, before, this)
  second = tonumber(second)
  if second == this then return tonumber(count), tonumber(before) end
  if second == this - 1 then return 0, tonumber(count) end
  return 0, 0
end

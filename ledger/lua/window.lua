-- When messages of campaigns may be sent. Part of the claim, which obeys it, and of the sweeper, which tries holds with what may be sent; they
-- call these functions as windows().name. The times were noted ahead by the expander, because Lua knows no zones.

-- look answers the state of a message's campaign, and when its window opens; nil if the message may be sent now.
local function look(r)
  local key = P .. 'c:' .. r.cm
  local c = redis.call('HMGET', key, 'st', 'wo', 'wc', 'wn')
  local opens, closes, reopens = c[2], c[3], c[4]
  if r.tz then -- it goes by its recipient's clock
    local zone = redis.call('HMGET', key .. ':z:' .. r.tz, 'wo', 'wc', 'wn')
    opens, closes, reopens = zone[1], zone[2], zone[3]
  end
  -- Once it is completed what comes was called back by a person, and nobody notes windows any more.
  if not closes or c[1] == 'completed' or now >= num(opens) and now < num(closes) then return c[1] end
  local next_one = now < num(opens) and num(opens) or num(reopens)
  return c[1], next_one > now and next_one or now + 60000 -- should nobody have noted more, look again in a minute
end

-- park keeps a message back until its window opens.
local function park(id, r, opens)
  unhold(id, r)
  redis.call('HSET', record(id), 'wf', 'window', 'ws', r.ws or NOW)
  redis.call('HDEL', record(id), 'nb')
  place(id, r.pr, 'due', opens)
end

return { look = look, park = park }

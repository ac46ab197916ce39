-- What the scripts about campaigns share. CAMPAIGN (" scheduled>rows>ingesting …") is written in front from the table in
-- message/campaign.go.
--
-- P c:<id> is a hash: st state, re why it is paused or was cancelled, by who did that ('template': its template is held), def definition,
--   tp template, pr priority, sa start at, ca created, ua updated, en ended;
--   of the intake: ch chunks, ro rows, li lines of the file, ck a sum over them, rj rejected, jc chunks of those, in '1' once all is in, ow and ot who reads the
--   file and till when that holds, sn '1' while the numbers are kept;
--   of the expansion: cu the chunk that is next, of how many of its rows have become messages, xp how many have in all, lb where the last
--   batch began, ra until when its rate is used up, wo, wc, wn when its window opens, closes and opens again; zs the zones of its recipients, if
--   its window goes by their clocks: then each zone has a track of its own;
--   of the end: cc and cf how far back the messages of a cancelled one have been taken back, cd '1' once all have;
--   sa1, sd1, sa2, sd2 when how many were done.
-- P c:<id>:z:<zone> is such a track: ro, cu, of, xp, lb, wo, wc, wn as above, of the rows in that zone, and q how many of its messages are queued.
local function camp_key(id) return P .. 'c:' .. id end
local OPEN = P .. 'campaigns:open' -- zset by time: those that something is to be done about

local function camp(id)
  local flat = redis.call('HGETALL', camp_key(id))
  if #flat == 0 then return nil end
  local c = {}
  for i = 1, #flat, 2 do c[flat[i]] = flat[i + 1] end
  return c
end

-- track_key is where it is kept how far the rows of a zone have come; '' is the campaign as a whole.
local function track_key(id, zone) return zone == '' and camp_key(id) or camp_key(id) .. ':z:' .. zone end

-- tracks answers {zone, fields} of each zone of a campaign.
local function tracks(id, zones)
  local out = {}
  for zone in string.gmatch(zones or '', '%S+') do out[#out + 1] = { zone, redis.call('HGETALL', track_key(id, zone)) } end
  return out
end

-- after answers the state that an event leads to, nil if it may not happen.
local function after(st, event) return string.match(CAMPAIGN, ' ' .. st .. '>' .. event .. '>(%a+) ') end

-- template_held says why a campaign waits whose template is held.
local function template_held(h) return 'its template is held: ' .. h.reason .. (h.code ~= '' and ' ' .. h.code or '') end

-- turn brings a campaign to another state and writes the fields given with it.
local function turn(id, c, st, ...)
  redis.call('HSET', camp_key(id), 'st', st, 'ua', NOW, ...)
  if st == 'completed' or st == 'cancelled' then
    redis.call('HSET', camp_key(id), 'en', NOW)
    redis.call('ZADD', P .. 'campaigns:ended', NOW, id)
    redis.call('ZADD', P .. 'campaigns:rows', NOW, id)
  end
  if st == 'completed' then redis.call('ZREM', OPEN, id) end
  c.st = st
end

-- camp_counts answers a campaign's rows by state.
local function camp_counts(id)
  local flat, out = redis.call('HGETALL', camp_key(id) .. ':count'), {}
  for i = 1, #flat, 2 do out[flat[i]] = num(flat[i + 1]) end
  return out
end

-- camp_id answers the id of a row's message: the first that is this campaign's own, of the row's and those that follow from its line.
local function camp_id(campaign, first, line)
  local id, n = first, 1
  while true do
    local owner = redis.call('HGET', record(id), 'cm')
    if owner == campaign then return id end
    if not owner and redis.call('EXISTS', record(id)) == 0 then return nil, id end
    -- Another message has it: it came after the rows were read.
    id = n == 1 and id ~= line and line or line .. '.' .. int(n + 1)
    n = n + 1
  end
end

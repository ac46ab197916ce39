-- What every script shares. KEYS[1] is the sender's prefix, "gupdispatch:{sender}:", which also says which slot this runs in.
-- ARGV[1] is '<ms>' or '<ms>;<length>': ms is added to Redis's clock, 0 in production, tests move time with it; length is how many
-- entries the stream of events keeps, none if it is absent.
-- LEGAL (" queued>sending queued>expired …") and SETTLED (" submitted enqueued …") are written in front of this file from the
-- state table in message/status.go, as strings, because a table would be built anew at each call.
--
-- Every script may run twice for one call (a client repeats it when the reply was lost), so each looks at the state first
-- and changes nothing that it has changed already.
local P = KEYS[1]
local clock = redis.call('TIME')
local OFFSET, EVENTS = string.match(ARGV[1], '^(-?%d+);?(%d*)$')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000) + tonumber(OFFSET)

-- Numbers go to Redis as text: it writes a Lua number out with 17 digits, which costs more than most of its commands.
local function int(n) return string.format('%d', n) end
local NOW = int(now)
local function num(v) return tonumber(v or '') or 0 end
local function record(id) return P .. 'm:' .. id end
local function legal(from, to) return string.find(LEGAL, ' ' .. from .. '>' .. to .. ' ', 1, true) end
local function settled(st) return string.find(SETTLED, ' ' .. st .. ' ', 1, true) end

-- phone is a record's number as all keys have it: forms of one number that WhatsApp takes for the same are one there.
local function phone(r) return r.nk or r.to end

-- stamp tells a record from another one that had the same id before.
local function stamp(r) return int(num(r.ca) % 1000000) end

-- read returns a record's fields by name, or nil if there is none. What a record leaves out to be small is filled in.
local function read(id)
  local flat = redis.call('HGETALL', record(id))
  if #flat == 0 then return nil end
  local r = {}
  for i = 1, #flat, 2 do r[flat[i]] = flat[i + 1] end
  r.gen = r.gen or '1'
  if r.sp and not r.fi then r.fi = r['in'] end
  if r.mid and not r.oc then r.oc = 'submitted' end
  return r
end

-- place puts a message where it is looked for: 'waiting' (an asynq task is to bring it; at: since when),
-- 'due' (the sweeper looks at it; at: at what time), or nowhere. An unsettled message has exactly one place; the third is behind a hold,
-- see keep_back in hold.lua.
local function place(id, priority, where, at)
  local waiting, due = P .. 'waiting:' .. priority, P .. 'due'
  if where == 'waiting' then
    redis.call('ZREM', due, id)
    redis.call('ZADD', waiting, int(at), id)
  elseif where == 'due' then
    if redis.call('ZADD', due, int(at), id) == 1 then redis.call('ZREM', waiting, id) end
  elseif redis.call('ZREM', due, id) == 0 then
    redis.call('ZREM', waiting, id)
  end
end

-- unhold takes a message out of what waits behind a hold.
local function unhold(id, r)
  if not r.hs then return end
  redis.call('ZREM', P .. 'held:' .. r.hs, id)
  redis.call('HDEL', record(id), 'hs')
  r.hs = nil
end

local function count(what, by) redis.call('HINCRBY', P .. 'count', what, int(by)) end

-- tally counts a campaign's rows.
local function tally(campaign, what, by) redis.call('HINCRBY', P .. 'c:' .. campaign .. ':count', what, int(by)) end

-- publish tells application servers of a change of state, if they asked for it. docs/events.md documents the fields.
local function publish(id, r, from, to, fields)
  if EVENTS == '' then return end
  local entry = { 'id', id, 'from', from, 'status', to, 'attempt', fields.at or r.at or 0, 'at', NOW }
  local function also(name, value)
    if value and value ~= '' then entry[#entry + 1] = name; entry[#entry + 1] = value end
  end
  also('message_id', fields.wm or fields.mid or (to ~= 'sending' and to ~= 'queued' and (r.wm or r.mid)))
  if to == 'failed' or to == 'dead' or to == 'in_doubt' or to == 'suppressed' or (to == 'queued' and from ~= '') then
    also('code', fields.co or r.co)
    also('class', fields.cl or r.cl)
    also('reason', fields.re or r.re)
  end
  redis.call('XADD', P .. 'events', 'MAXLEN', '~', EVENTS, '*', unpack(entry))
end

-- move takes a message from one state to the next, writes the fields given with it, and keeps the counts and the lists of ends
-- true. It is called before any other write, so that an illegal step leaves no trace.
local function move(id, r, to, ...)
  local from = r.st
  if not legal(from, to) then error('illegal step ' .. from .. ' to ' .. to) end
  -- First of all: a full Redis refuses a script only at its first write, and only one that needs memory. So what came of a request
  -- on the wire is always recorded.
  if from == 'sending' then redis.call('ZREM', P .. 'wire', phone(r) .. ':' .. id) end
  count(from, -1)
  count(to, 1)
  if r.cm then
    tally(r.cm, from, -1)
    tally(r.cm, to, 1)
    -- Of a window by its recipients' clocks it matters how many wait in a zone where it is closed.
    if r.tz and (from == 'queued' or to == 'queued') then
      redis.call('HINCRBY', P .. 'c:' .. r.cm .. ':z:' .. r.tz, 'q', to == 'queued' and 1 or -1)
    end
  end
  if to == 'sending' then redis.call('ZADD', P .. 'wire', '0', phone(r) .. ':' .. id) end
  if from == 'dead' then redis.call('ZREM', P .. 'dead', id) end
  if to == 'dead' then redis.call('ZADD', P .. 'dead', NOW, id) end
  local first_end = settled(to) and to ~= 'dead' and (from == 'dead' or not settled(from))
  if settled(to) and r.ex then redis.call('ZREM', P .. 'expiry', id) end
  if first_end then
    -- Receipts move a settled message further; only its first settling starts the clock of retention.
    redis.call('RPUSH', P .. 'settled', NOW .. ':' .. id)
    redis.call('HSET', record(id), 'st', to, 'ua', NOW, 'sl', NOW, ...)
  else
    redis.call('HSET', record(id), 'st', to, 'ua', NOW, ...)
  end
  if to == 'queued' and r.ex then redis.call('ZADD', P .. 'expiry', r.ex, id) end
  unhold(id, r)
  if EVENTS ~= '' then
    local given, fields = { ... }, {}
    for k = 1, #given, 2 do fields[given[k]] = given[k + 1] end
    publish(id, r, from, to, fields)
  end
  r.st = to
end

-- take_back ends a queued message before it is sent.
local function take_back(id, r)
  move(id, r, 'cancelled')
  redis.call('HDEL', record(id), 'nb', 'wf', 'ws', 'dq')
  place(id, r.pr)
end

-- remember adds a line about an attempt to the record: n, when, outcome, messageId, code. The present attempt is told by the
-- record's own fields; lines are for earlier ones. Old lines go when there are too many.
local function remember(id, r, n, at, outcome, mid, code)
  local lines = (r.log or '') .. table.concat({ n, at, outcome, mid, code }, '\t') .. '\n'
  while #lines > 4096 do lines = string.sub(lines, string.find(lines, '\n', 1, true) + 1) end
  redis.call('HSET', record(id), 'log', lines)
  r.log = lines
end

-- What every script shares. KEYS[1] is the sender's prefix, "gupdispatch:{sender}:", which also says which slot this runs in.
-- ARGV[1] is added to Redis's clock, in ms: 0 in production; tests move time with it.
-- LEGAL and SETTLED are written in front of this file from the state table in message/status.go.
--
-- Every script may run twice for one call (a client repeats it when the reply was lost), so each looks at the state first
-- and changes nothing that it has changed already.
local P = KEYS[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000) + tonumber(ARGV[1])

local function int(n) return string.format('%.0f', n) end
local function record(id) return P .. 'm:' .. id end
local function num(v) return tonumber(v or '') or 0 end

-- place puts a message where it is looked for: 'waiting' (an asynq task is to bring it; score: since when),
-- 'due' (the sweeper looks at it; score: at what time), or nowhere. An unsettled message has exactly one place.
local function place(id, priority, where, at)
  local waiting, due = P .. 'waiting:' .. priority, P .. 'due'
  if where ~= 'waiting' then redis.call('ZREM', waiting, id) end
  if where ~= 'due' then redis.call('ZREM', due, id) end
  if where == 'waiting' then redis.call('ZADD', waiting, int(at), id) end
  if where == 'due' then redis.call('ZADD', due, int(at), id) end
end

local function count(what, by) redis.call('HINCRBY', P .. 'count', what, by) end

-- move takes a message from one state to the next and keeps the counts and the lists of ends true.
-- It is called before any other write, so that an illegal step leaves no trace.
local function move(id, from, to)
  if not LEGAL[from][to] then error('illegal step ' .. from .. ' to ' .. to) end
  count(from, -1)
  count(to, 1)
  redis.call('HSET', record(id), 'st', to, 'ua', int(now))
  if from == 'dead' then redis.call('ZREM', P .. 'dead', id) end
  if to == 'dead' then redis.call('ZADD', P .. 'dead', int(now), id) end
  if SETTLED[to] then
    redis.call('ZREM', P .. 'expiry', id)
    -- Receipts move a settled message further; only its first settling starts the clock of retention.
    if to ~= 'dead' and (from == 'dead' or not SETTLED[from]) then
      redis.call('HSET', record(id), 'sl', int(now))
      redis.call('RPUSH', P .. 'settled', int(now) .. ':' .. id)
    end
  end
end

-- remember adds a line about an attempt to the record: n, when, outcome, messageId, code. The present attempt is told by the
-- record's own fields; lines are for earlier ones. Old lines go when there are too many.
local function remember(key, n, at, outcome, mid, code)
  local lines = redis.call('HGET', key, 'log') or ''
  lines = lines .. table.concat({ n, at, outcome, mid, code }, '\t') .. '\n'
  while #lines > 4096 do lines = string.sub(lines, string.find(lines, '\n', 1, true) + 1) end
  redis.call('HSET', key, 'log', lines)
end

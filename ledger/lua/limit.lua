-- What a recipient, and a day, can take. Part of the claim, which obeys it, and of the scripts that learn of trouble; they call these
-- functions as limits().name.
--
-- P pair:<number>  '<ms>;<ms>;<ms>', gone when it says nothing any more: the theoretical arrival time of the next message to that number (GCRA,
--                  as for the sender's pace), the moment at which the last message that was parked for it comes again, and the one until which
--                  only critical may go.
-- P slowed         zset number by that arrival time, of those that WhatsApp said got too much
-- P daily          zset number by the time of the last template that went to it outside a session, of the last 24 hours. Beyond the budget
--                  nobody new is added, so it never holds more members than that.
-- P daily:line     '<ms>;<n>': the moment at which the last message that was parked for the day's budget comes again, and how many do then
local DAY = 86400000
local URGENT = 5000 -- ms that are left to a critical message for coming again before others

local function pair_key(r) return P .. 'pair:' .. phone(r) end

local function read_pair(r)
  local tat, line, urgent = string.match(redis.call('GET', pair_key(r)) or '', '^(%d+);(%d+);(%d+)$')
  return math.max(num(tat), now), num(line), num(urgent)
end

local function write_pair(r, tat, line, urgent)
  redis.call('SET', pair_key(r), table.concat({ int(tat), int(line), int(urgent) }, ';'), 'PX', int(math.max(tat, line, urgent) - now + 1000))
end

-- pair_opens answers when one more message may go to this number: nil for now. Those that were parked stand in line, one spacing apart, and
-- what comes later goes behind them; except critical, which comes again as soon as anything may go, and the others make way.
local function pair_opens(r, every, burst)
  local tat, line, urgent = read_pair(r)
  local opens = tat - (burst - 1) * every
  if r.pr == 'critical' then
    if opens <= now then return nil end
    write_pair(r, tat, line, opens + URGENT)
    return opens
  end
  if opens <= now and urgent <= now and (line <= now or r.wf == 'pair') then return nil end
  line = math.max(opens, urgent, line + every)
  write_pair(r, tat, line, urgent)
  return line
end

-- pair_goes takes note that one goes now.
local function pair_goes(r, every)
  local tat, line, urgent = read_pair(r)
  write_pair(r, tat + every, line, r.pr == 'critical' and 0 or urgent)
end

-- slow_pair keeps everything from a number for a while, because WhatsApp said that it got too much.
local function slow_pair(r, delay, every, burst)
  if every == 0 then return end
  local tat, line, urgent = read_pair(r)
  tat = math.max(tat, now + delay + (burst - 1) * every)
  write_pair(r, tat, line, urgent)
  redis.call('ZREMRANGEBYSCORE', P .. 'slowed', '-inf', NOW)
  redis.call('ZADD', P .. 'slowed', int(tat), phone(r))
  redis.call('PEXPIRE', P .. 'slowed', int(num(redis.call('ZRANGE', P .. 'slowed', -1, -1, 'WITHSCORES')[2]) - now))
end

-- day_opens answers when a new recipient may be written to: nil for now, of which it takes note, in the record as well.
local function day_opens(id, r, most)
  local key, number = P .. 'daily', phone(r)
  if not redis.call('ZSCORE', key, number) and redis.call('ZCARD', key) >= most then
    redis.call('ZREMRANGEBYSCORE', key, '-inf', int(now - DAY))
    if redis.call('ZCARD', key) >= most then
      -- The next place in line: each recipient whose day ends makes room for one, and behind those a day has room for so many.
      local line, n = string.match(redis.call('GET', P .. 'daily:line') or '', '^(%d+);(%d+)$')
      line, n = num(line), num(n)
      if line < now then line, n = now, 0 end
      local next_out = redis.call('ZRANGEBYSCORE', key, int(line - DAY), '+inf', 'WITHSCORES', 'LIMIT', n, 1)
      local opens = next_out[2] and num(next_out[2]) + DAY or math.ceil(math.max(line, now + DAY) + DAY / most)
      n = opens == line and n + 1 or 1
      redis.call('SET', P .. 'daily:line', int(opens) .. ';' .. int(n), 'PX', int(opens - now + 1000))
      return opens
    end
  end
  if redis.call('ZADD', key, int(now), number) == 1 then
    redis.call('HSET', record(id), 'da', 1)
  elseif r.da then
    redis.call('HDEL', record(id), 'da')
  end
end

-- limited answers until when a message has to wait for its recipient or for the day's budget, and which of the two it is.
local function limited(id, r, template, every, burst, most)
  if every > 0 then
    local opens = pair_opens(r, every, burst)
    if opens then return opens, 'pair' end
  end
  if most > 0 and template and now - num(redis.call('ZSCORE', P .. 'session', phone(r))) >= DAY then
    local opens = day_opens(id, r, most)
    if opens then return opens, 'daily_recipients' end
  end
  if every > 0 then pair_goes(r, every) end
end

return { limited = limited, slow_pair = slow_pair }

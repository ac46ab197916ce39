-- What receipts do to a message. Part of every script that may learn of one.
-- The scripts call these functions as on().name. To make them costs Redis as much as four commands, so that is done when the first
-- of them is called, which the usual claim and commit never do.
--
-- Receipts belong to an attempt, and come in any order and any number of times. So none is acted upon by itself: it is noted in
-- the record, and the message's status is then worked out from all that is noted. Field rc: lines of attempt, letter, ms since the
-- message was accepted, and, if there is one, a tab and a code: "1e4022". A failure's code has its class behind a space.
-- A parked receipt is a line of messageId, letter, ms, code, class, reason, number, ms of arrival, WhatsApp's id, the buckets of
-- both ids in the index, the length of the field of the first, and both fields, which may hold any byte.
local LEVELS = { 'submitted', 'enqueued', 'sent', 'delivered', 'read' }
local LEVEL_OF = { e = 2, s = 3, d = 4, r = 5 }
local PARKED_FOR = 3600000 -- ms
local CLAIMED = 'claimed_by_callback' -- what the story says of an attempt that had been in doubt
local SKEW = 5000          -- ms by which Gupshup's and WhatsApp's clocks may differ from Redis's

-- notes reads field rc, once for each content that it has: a list of attempt, letter, when (ms) and code.
local function notes(r)
  if r.notes and r.notes.rc == r.rc then return r.notes end
  local list, accepted = { rc = r.rc }, num(r.ca)
  for n, letter, since, code in string.gmatch(r.rc or '', '(%d+)(%a)(-?%d+)\t?([^\n]*)\n') do
    list[#list + 1] = { n = num(n), letter = letter, at = accepted + num(since), code = code }
  end
  r.notes = list
  return list
end

-- noted writes a line of it.
local function noted(r, n, letter, at, code)
  return int(n) .. letter .. int(at - num(r.ca)) .. (code == '' and '\n' or '\t' .. code .. '\n')
end

local function attempts(r)
  local list = {}
  for n, at, outcome, mid, code in string.gmatch(r.log or '', '(%d+)\t(%d+)\t([^\t]*)\t([^\t]*)\t([^\n]*)\n') do
    local known = list[num(n)]
    list[num(n)] = { at = known and known.at or num(at), outcome = outcome, mid = mid, code = code }
  end
  local n = num(r.at)
  if n > 0 and not list[n] then list[n] = { at = num(r['in']), outcome = r.oc or '', mid = r.mid or '', code = r.ac or '' } end
  return list
end

-- standing works out how far an attempt came: a level, 0 for not taken as far as we know, -1 and the code for failed. Delivery
-- beats failure whenever it came; of 'sent' and 'failed' the later one counts, and failure if they are of the same second.
local function standing(r, n, outcome)
  local level, sent_at, failed_at, failure = outcome == 'submitted' and 1 or 0, 0, -1, nil
  for _, l in ipairs(notes(r)) do
    if l.n == n then
      if l.letter == 'f' and (l.at > failed_at or l.at == failed_at and l.code > failure) then failed_at, failure = l.at, l.code end
      if l.letter == 's' then sent_at = l.at end
      level = math.max(level, LEVEL_OF[l.letter] or 0)
    end
  end
  if failure and level < 4 and sent_at <= failed_at then return -1, failure end
  return level
end

-- note writes a receipt down; false if it is there already. Of two that differ only in time the earlier one stays.
local function note(id, r, n, letter, at, code)
  local known, lines, found = {}, 0, false
  for _, l in ipairs(notes(r)) do
    local when = l.at
    if l.n == n and l.letter == letter and l.code == code then
      found = true
      if when <= at then return false end
      when = at
    end
    lines = lines + 1
    known[lines] = noted(r, l.n, l.letter, when, l.code)
  end
  if not found then
    if lines >= 100 and (letter == 'f' or letter == 'b') then return false end -- there are few others
    known[lines + 1] = noted(r, n, letter, at, code)
  end
  r.rc = table.concat(known)
  redis.call('HSET', record(id), 'rc', r.rc)
  return not found
end

-- index remembers which attempt of which record a messageId, Gupshup's or WhatsApp's, belongs to.
local function index(bucket, field, id, r, n, kept)
  local key = P .. 'x:' .. int(math.floor(now / 86400000)) .. ':' .. bucket
  redis.call('HSET', key, field, id .. ':' .. int(n) .. ':' .. stamp(r))
  if redis.call('HLEN', key) == 1 then redis.call('EXPIRE', key, kept) end
end

-- lookup finds them again: id, attempt, stamp.
local function lookup(bucket, field, days)
  local today = math.floor(now / 86400000)
  for day = today, today - days, -1 do
    local found = redis.call('HGET', P .. 'x:' .. int(day) .. ':' .. bucket, field)
    if found then
      local id, n, mark = string.match(found, '^(.*):(%d+):(%d+)$')
      return id, num(n), mark
    end
  end
end

-- good counts the attempts that Gupshup took and did not report as failed: more than one is a duplicate.
local function good(r)
  local count = 0
  for n, a in pairs(attempts(r)) do
    if standing(r, n, a.outcome) >= 1 then count = count + 1 end
  end
  return count
end

-- advance brings the message to the status that all that is noted amounts to. before: good(r) before the news; reason: the text of
-- a failure, if that is the news.
-- The status is that of the latest attempt, except that 'sent' or better of any attempt wins, and that an earlier attempt which
-- Gupshup took stands as long as the latest one came to nothing.
local function advance(id, r, before, reason)
  local all, n = attempts(r), num(r.at)
  local mine, failure = 0, nil
  if all[n] then mine, failure = standing(r, n, all[n].outcome) end
  local winner, level, earlier, lower = 0, 0, 0, 0
  for k, a in pairs(all) do
    local s = standing(r, k, a.outcome)
    if s >= 3 and (s > level or s == level and k > winner) then winner, level = k, s end
    if s >= 1 and s < 3 and k > earlier then earlier, lower = k, s end
  end
  if level == 0 and mine >= 1 then winner, level = n, mine end
  if level == 0 and earlier > 0 then winner, level = earlier, lower end
  local more = good(r) - before
  if more > 0 and before > 0 then count('duplicates', more) end

  local target = LEVELS[level]
  if not target then
    if mine ~= -1 then return end
    target = 'failed'
  end
  if r.st == target then
    if target == 'failed' and not r.tok and failure ~= (r.co or '') .. ' ' .. (r.cl or '') then -- the later failure counts
      r.co, r.cl = string.match(failure, '^(.*) (.*)$')
      r.re = reason or ''
      redis.call('HSET', record(id), 'co', r.co, 'cl', r.cl, 're', r.re)
    end
    return
  end
  local via = not legal(r.st, target) and target ~= 'failed' and legal(r.st, 'submitted') and legal('submitted', target)
  if not legal(r.st, target) and not via then return end

  local key = record(id)
  if target == 'failed' then
    r.co, r.cl = string.match(failure, '^(.*) (.*)$')
    r.re = reason or ''
    move(id, r, 'failed', 'co', r.co, 'cl', r.cl, 're', r.re)
    redis.call('HDEL', key, 'tok', 'dl')
    r.tok = nil
    place(id, r.pr, 'due', now)
    return
  end
  if level >= 3 and redis.call('EXISTS', P .. 'hold', P .. 'run') > 0 then held().got_through(id, r, true) end
  if winner ~= n then
    r.wm = all[winner].mid
    redis.call('HSET', key, 'wn', winner, 'wm', r.wm)
  elseif r.wm then
    r.wm = nil
    redis.call('HDEL', key, 'wn', 'wm')
  end
  if r.st == 'sending' and not r.oc then
    -- An earlier attempt arrived while this one is under way. Should its worker die now, nobody would look for it any more: it is in doubt
    -- already, so that a callback can claim it and the duplicate is counted. A commit that comes knows better.
    r.oc, r.ac = 'in_doubt', 'overtaken'
    redis.call('HSET', key, 'oc', r.oc, 'ac', r.ac)
    redis.call('ZADD', P .. 'doubt:' .. phone(r), r['in'], id .. ':' .. int(n))
    redis.call('PEXPIRE', P .. 'doubt:' .. phone(r), 2 * PARKED_FOR)
  end
  if via then move(id, r, 'submitted') end
  move(id, r, target)
  redis.call('HDEL', key, 'dl', 'tok', 'nb', 'wf', 'ws', 'co', 'cl', 're')
  r.tok, r.co, r.cl, r.re = nil, nil, nil, nil
  place(id, r.pr)
end

-- Parking.

local function drop_parked(mid)
  redis.call('DEL', P .. 'parked:' .. mid)
  redis.call('ZREM', P .. 'parked', mid)
end

local function park(mid, line, to, most)
  local list = P .. 'parked:' .. mid
  redis.call('ZADD', P .. 'parked', 'NX', int(now), mid)
  if redis.call('LLEN', list) < 20 then redis.call('RPUSH', list, line) end
  redis.call('PEXPIRE', list, PARKED_FOR + 60000)
  if to ~= '' then
    redis.call('ZADD', P .. 'parkedto:' .. to, 'NX', int(now), mid)
    redis.call('ZREMRANGEBYSCORE', P .. 'parkedto:' .. to, '-inf', int(now - PARKED_FOR))
    redis.call('PEXPIRE', P .. 'parkedto:' .. to, PARKED_FOR)
  end
  local old = redis.call('ZRANGEBYSCORE', P .. 'parked', '-inf', int(now - PARKED_FOR), 'LIMIT', 0, 10)
  local over = redis.call('ZCARD', P .. 'parked') - #old - most
  if over > 0 then
    for _, v in ipairs(redis.call('ZRANGE', P .. 'parked', #old, #old + math.min(over, 10) - 1)) do old[#old + 1] = v end
  end
  for _, v in ipairs(old) do drop_parked(v) end
  if #old > 0 then redis.call('HINCRBY', P .. 'heard', 'dropped', #old) end
end

local function parse_parked(line)
  local mid, letter, at, code, class, reason, to, wa, bucket, wa_bucket, length, fields = string.match(line,
    '^([^\t]*)\t(%a)\t(%d+)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t%d+\t([^\t]*)\t([^\t]*)\t([^\t]*)\t(%d+)\t(.*)$')
  return { mid = mid, letter = letter, at = num(at), code = code, class = class, reason = reason, to = to, wa = wa,
    bucket = bucket, field = string.sub(fields, 1, num(length)), wa_bucket = wa_bucket, wa_field = string.sub(fields, num(length) + 1) }
end

local function parked_line(e)
  return table.concat({ e.mid, e.letter, int(e.at), e.code, e.class, e.reason, e.to, int(now), e.wa, e.bucket, e.wa_bucket,
    #e.field, e.field .. e.wa_field }, '\t')
end

-- take_in notes a receipt of attempt n, and whatever was parked under the WhatsApp id that it tells. Answers whether it was new.
local take_in

-- unpark notes what was parked under a messageId. Answers whether there was anything, and the text of a failure among it.
local function unpark(id, r, n, mid, kept)
  local lines = redis.call('LRANGE', P .. 'parked:' .. mid, 0, -1)
  if #lines == 0 then return false end
  drop_parked(mid)
  local reason
  for _, line in ipairs(lines) do
    local e = parse_parked(line)
    if e.to ~= '' then redis.call('ZREM', P .. 'parkedto:' .. e.to, mid) end
    local _, text = take_in(id, r, n, e, kept)
    reason = text or reason
  end
  return true, reason
end

take_in = function(id, r, n, e, kept)
  local new = note(id, r, n, e.letter, e.at, e.letter == 'f' and e.code .. ' ' .. e.class or e.code)
  local reason = e.letter == 'f' and e.reason or nil
  if e.wa ~= '' and num(r.wi) ~= n then
    r.wi = n
    redis.call('HSET', record(id), 'wi', n) -- WhatsApp's id of this attempt is in the index
    index(e.wa_bucket, e.wa_field, id, r, n, kept)
    local _, text = unpark(id, r, n, e.wa, kept)
    reason = text or reason
  end
  return new, reason
end

-- Claiming an attempt in doubt.

local function doubt_key(to) return P .. 'doubt:' .. to end

-- enter_doubt makes an attempt claimable by a callback.
local function enter_doubt(id, r, n, window)
  redis.call('ZADD', doubt_key(phone(r)), r['in'], id .. ':' .. int(n))
  redis.call('PEXPIRE', doubt_key(phone(r)), window + PARKED_FOR)
end

local function leave_doubt(id, r, n) redis.call('ZREM', doubt_key(phone(r)), id .. ':' .. int(n)) end

-- sending_to says whether a request of another message to that number is on the wire, whose receipt this might be.
local function sending_to(to, except)
  for _, member in ipairs(redis.call('ZRANGEBYLEX', P .. 'wire', '[' .. to .. ':', '(' .. to .. ';', 'LIMIT', 0, 2)) do
    if member ~= to .. ':' .. except then return true end
  end
  return false
end

-- candidate answers the attempt that a receipt of this time, for this number, can be about: nil if there is none, or if it may be
-- another message's. Of several attempts of one message it is the latest: whichever it was, the message arrived.
local function candidate(to, at, window)
  local id, n
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', doubt_key(to), int(at - window), int(at + SKEW))) do
    local other, k = string.match(member, '^(.*):(%d+)$')
    local r = read(other)
    local a = r and attempts(r)[num(k)]
    if not a or a.outcome ~= 'in_doubt' then
      redis.call('ZREM', doubt_key(to), member)
    elseif id and id ~= other then
      return nil
    else
      id, n = other, num(k)
    end
  end
  if id and not sending_to(to, id) then return id, n end
end

-- adopt writes down that attempt n is the one of a receipt that claims it.
local function adopt(id, r, n, e, kept)
  if n == num(r.at) then
    r.oc, r.mid, r.ac = 'submitted', e.mid, CLAIMED
    redis.call('HSET', record(id), 'mid', e.mid, 'ac', CLAIMED)
    redis.call('HDEL', record(id), 'oc')
  else
    remember(id, r, n, int(attempts(r)[n].at), 'submitted', e.mid, CLAIMED)
  end
  index(e.bucket, e.field, id, r, n, kept)
  leave_doubt(id, r, n)
end

-- look_back sees whether receipts that came already are about attempt n, which is in doubt. Answers whether they were, in which case
-- the message stands where they put it.
local function look_back(id, r, n, window, kept)
  local set, found = P .. 'parkedto:' .. phone(r), nil
  local intent = attempts(r)[n].at
  for _, mid in ipairs(redis.call('ZRANGE', set, 0, -1)) do
    local line = redis.call('LINDEX', P .. 'parked:' .. mid, 0)
    local e = line and parse_parked(line)
    if not e then
      redis.call('ZREM', set, mid)
    elseif e.at >= intent - SKEW and e.at <= intent + window then
      if found then return false end
      found = e
    end
  end
  if not found then return false end
  local other, k = candidate(phone(r), found.at, window)
  if other ~= id or k ~= n then return false end
  local before = good(r)
  adopt(id, r, n, found, kept)
  local _, reason = unpark(id, r, n, found.mid, kept)
  advance(id, r, before, reason)
  return true
end

-- forget takes the notes of attempt n out of the record, and answers them.
local function forget(id, r, n)
  local rest, gone = {}, {}
  for _, l in ipairs(notes(r)) do
    if l.n == n then gone[#gone + 1] = l else rest[#rest + 1] = noted(r, l.n, l.letter, l.at, l.code) end
  end
  r.rc = table.concat(rest)
  redis.call('HSET', record(id), 'rc', r.rc)
  return gone
end

-- disown takes a messageId away from an attempt that had claimed it, since a commit says that it is another's: the receipts go with
-- it, and the attempt is in doubt again.
local function disown(id, k, to_id, to_r, to_n, window)
  local r = id == to_id and to_r or read(id)
  local a = r and attempts(r)[k]
  if not a or a.outcome ~= 'submitted' then return end
  for _, l in ipairs(forget(id, r, k)) do note(to_id, to_r, to_n, l.letter, l.at, l.code) end
  if k == num(r.at) then
    r.oc, r.mid = 'in_doubt', nil
    redis.call('HSET', record(id), 'oc', 'in_doubt')
    redis.call('HDEL', record(id), 'mid')
  else
    remember(id, r, k, int(a.at), 'in_doubt', '', '')
  end
  redis.call('ZADD', doubt_key(phone(r)), int(a.at), id .. ':' .. int(k))
  redis.call('PEXPIRE', doubt_key(phone(r)), window + PARKED_FOR)
  if good(r) == 0 and legal(r.st, 'in_doubt') then
    move(id, r, 'in_doubt', 'co', 'receipt_of_another', 'cl', 'in_doubt', 're', 'the receipts that had claimed it were about another message')
    place(id, r.pr, 'due', now)
  end
end

return { attempts = attempts, good = good, advance = advance, lookup = lookup, park = park, parked_line = parked_line, take_in = take_in,
  unpark = unpark, doubt_key = doubt_key, enter_doubt = enter_doubt, leave_doubt = leave_doubt, candidate = candidate, adopt = adopt,
  look_back = look_back, forget = forget, disown = disown }

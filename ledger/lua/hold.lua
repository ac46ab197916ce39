-- What keeps messages from being sent for a while: holds, what waits behind them, and the probes that end them. Part of the scripts
-- that set, obey or end them, which call these functions as held().name: they are made when the first of them is called.
--
-- A hold is an entry of the hash P hold: 'sender', 'some' (of its priorities), 'hand' and 'hand some' (the same, by a
-- person), 'template:<id>' or 'campaign:<id>' (a person paused it; see campaign_steer.lua) → JSON of
--   reason, code, note, priorities ('' for all), since, until: when it is tried next, 0 for never (only a person ends it)
--   by       who set it; '' is the policy
--   span, most, tries   how far off the next probe is: span · 2^tries, at most most
--   probe    the message that it is being tried with
--   last, tried   the message that failed last, and its template
--   late     the failure came by callback: so a probe counts as sent only once none has come for CONFIRM
--   seen_by  the process whose message failed
--   ended    when; what waits behind it is then let go bit by bit, and an entry with nothing behind it is soon forgotten
--   ended_by 'probe': the message that it was tried with went through; 'time': it was over, or nothing was there to try it with; or the
--            person who released it
-- What waits stands in P held:<scope>, most urgent first, and its record's field hs says so.
local HOLD = P .. 'hold'
local CONFIRM = 30000  -- ms until a probe that no callback reports as failed counts as sent
local RECALL = 600000  -- ms for which an ended hold is remembered: the same trouble again waits longer at once
local STORM = 20       -- failures in a row that are not the messages' fault
local RANK = { critical = 0, default = 1, bulk = 2 }

-- band answers between which scores a priority waits behind a hold: the most urgent first, and in order of time.
local function band(priority) return RANK[priority] * 4e12, (RANK[priority] + 1) * 4e12 end

-- scopes_of are the holds that a message can be kept back by.
local function scopes_of(template, campaign)
  return { 'hand', 'hand some', 'sender', 'some', 'template:' .. template, campaign and 'campaign:' .. campaign or nil }
end

local function hold_of(scope)
  local text = redis.call('HGET', HOLD, scope)
  return text and cjson.decode(text)
end

local function keep_hold(scope, h) redis.call('HSET', HOLD, scope, cjson.encode(h)) end

-- news notes that a hold has begun or ended, until the sweeper has had somebody told of it, or knows of nobody to tell.
local function news(scope, h)
  redis.call('RPUSH', P .. 'news', cjson.encode({ scope = scope, hold = cjson.encode(h) }))
  redis.call('LTRIM', P .. 'news', -1000, -1) -- should no sweeper ever come
end

local function begin_hold(scope, h)
  keep_hold(scope, h)
  news(scope, h)
end

local function active(h) return h and not h.ended end

-- covers says whether a hold is for messages of that priority.
local function covers(h, priority) return h.priorities == '' or string.find(h.priorities, priority, 1, true) end

-- template_of is the id of the template that is sent, '' for a session message.
local function template_of(r) return r.uf and r.ft or r.tp or '' end

-- all_holds answers scope → hold, those that have ended among them.
local function all_holds()
  local flat, out = redis.call('HGETALL', HOLD), {}
  for i = 1, #flat, 2 do out[flat[i]] = cjson.decode(flat[i + 1]) end
  return out
end

-- holding answers the scope and the hold that keep a message from being sent, unless it is that hold's probe.
local function holding(id, priority, template, campaign)
  local scopes = scopes_of(template, campaign)
  local texts = redis.call('HMGET', HOLD, unpack(scopes))
  for i = 1, #scopes do
    local h = texts[i] and cjson.decode(texts[i])
    if active(h) and h.probe ~= id and covers(h, priority) then return scopes[i], h end
  end
end

-- keep_back lets a queued message wait behind a hold: in no other place, and spending nothing.
local function keep_back(id, r, scope, reason)
  redis.call('HSET', record(id), 'wf', reason, 'ws', r.ws or int(now), 'hs', scope)
  redis.call('HDEL', record(id), 'nb', 'dl', 'tok')
  place(id, r.pr)
  redis.call('ZADD', P .. 'held:' .. scope, int(band(r.pr) + now), id)
  r.hs = scope
end

-- off sets a hold's next probe further off each time, after one that failed.
local function off(scope, h)
  h.tries, h.probe, h.confirm = h.tries + 1, nil, nil
  h['until'] = now + math.min(h.span * 2 ^ math.min(h.tries, 20), h.most)
  keep_hold(scope, h)
end

-- set_hold holds a scope because message id failed. What a person holds stays as it is, and so does a hold of which id is no probe.
local function set_hold(scope, id, template, reason, code, priorities, span, most, late, seen_by)
  local h = hold_of(scope)
  if active(h) then
    if h.probe == id then off(scope, h) end
    return
  end
  local tries = 0
  if h and h.reason == reason and now - h.ended < RECALL then tries = h.tries + 1 end
  begin_hold(scope, { reason = reason, code = code, note = '', priorities = priorities, since = now, by = '', span = span, most = most,
    tries = tries, late = late or nil, seen_by = seen_by, last = id, tried = template, ['until'] = now + math.min(span * 2 ^ math.min(tries, 20), most) })
end

local function finish_hold(scope, h, by)
  h.ended_by = by
  h.ended, h.probe, h.confirm = now, nil, nil
  keep_hold(scope, h)
  news(scope, h)
end

-- passed ends what message id was a probe of: Gupshup took it.
local function passed(id)
  for scope, h in pairs(all_holds()) do
    if active(h) and h.probe == id then
      if h.late then
        h.confirm = now + CONFIRM
        h['until'] = h.confirm
        keep_hold(scope, h)
      else
        finish_hold(scope, h, 'probe')
      end
    end
  end
end

-- missed is for a probe that failed of something else than what the hold is for. If that shows that the sender is well (it concerns
-- this message only), the sender's holds are over; but not those that callbacks told of by the word of a reply. Those, a template's, and any
-- for which Gupshup was not even asked, are tried with another message. Otherwise the hold is tried later.
local function missed(id, well, asked, late)
  for scope, h in pairs(all_holds()) do
    if active(h) and h.probe == id then
      if asked and not well then
        off(scope, h)
      elseif asked and (scope == 'sender' or scope == 'some') and (late or not h.late) then
        finish_hold(scope, h, 'probe')
      else
        h.probe, h['until'], h.last = nil, now, id
        keep_hold(scope, h)
      end
    end
  end
end

-- probing says whether a message is what an active hold is being tried with, and leaves it the time until then for that.
local function probing(id, till)
  local found = false
  for scope, h in pairs(all_holds()) do
    if active(h) and h.probe == id then
      found = true
      if till > h['until'] then
        h['until'] = till
        keep_hold(scope, h)
      end
    end
  end
  return found
end

-- What a reply says is disproved by the reply to another message, and what a callback says only by a receipt: a 2xx comes before either.
local function kind(late) return late and 'late ' or 'now ' end

-- The pulse tells what a lone failure cannot: whether others get through meanwhile. P pulse, written while there are holds: '<kind> ok', when the
-- latest message that did was sent, and '<kind> bad <template id>', the code with which that template's messages fail while others do not.

-- pulse notes a success, by when it was sent: what was sent before a failure and answered after it shows nothing.
local function pulse(template, late, sent)
  if sent > num(redis.call('HGET', P .. 'pulse', kind(late) .. 'ok')) then redis.call('HSET', P .. 'pulse', kind(late) .. 'ok', int(sent)) end
  if template ~= '' then redis.call('HDEL', P .. 'pulse', kind(late) .. 'bad ' .. template) end
  redis.call('EXPIRE', P .. 'pulse', 86400)
end

-- culprit says whether a message that fails as if its sender were in trouble is the trouble itself: it failed so before, and another
-- message was sent since and got through, or its template is known for it. A patient one has no template to blame.
local function culprit(id, r, code, late, patient)
  local bad = kind(late) .. 'bad ' .. template_of(r)
  local known = redis.call('HMGET', P .. 'pulse', kind(late) .. 'ok', bad)
  local ok, template = num(known[1]), patient and '' or template_of(r)
  if template ~= '' and known[2] == code and now - ok < RECALL then return true end
  if num(r.hf) > 0 and ok > num(r.hf) then
    if template ~= '' then redis.call('HSET', P .. 'pulse', bad, code) end
    return true
  end
  r.hf = int(now)
  redis.call('HSET', record(id), 'hf', r.hf)
  return false
end

-- calm forgets the failures in a row of a template and of its sender, because a message got through.
local function calm(template, late)
  if redis.call('EXISTS', P .. 'run') == 0 then return end
  for _, field in ipairs(redis.call('HKEYS', P .. 'run')) do
    if string.find(field, kind(late) .. 'sender ', 1, true) == 1 or
      template ~= '' and string.find(field, kind(late) .. 'template:' .. template .. ' ', 1, true) == 1 then
      redis.call('HDEL', P .. 'run', field)
    end
  end
end

-- got_through is told of every message that did.
local function got_through(id, r, late)
  if redis.call('EXISTS', HOLD) == 1 then
    if not late then passed(id) end
    pulse(template_of(r), late, num(r['in']))
  end
  calm(template_of(r), late)
end

-- storm counts a failure that, in a row, is not the messages' fault, and holds its scope when there are too many. Answers whether
-- the scope is held for it.
local function storm(id, r, scope, code, late, seen_by)
  local h = hold_of(scope)
  if active(h) then
    if h.reason ~= 'storm' or h.code ~= code then return false end
    if h.probe == id then off(scope, h) end
    return true
  end
  local run, field = P .. 'run', kind(late) .. scope .. ' ' .. code
  local n = redis.call('HINCRBY', run, field, 1)
  if n == 1 and redis.call('HLEN', run) > 200 then redis.call('DEL', run) end
  redis.call('EXPIRE', run, 3600)
  if n < STORM then return false end
  redis.call('HDEL', run, field)
  set_hold(scope, id, template_of(r), 'storm', code, '', 60000, 900000, late, seen_by)
  return true
end

-- follow does to others what the failure of one message asks for, and says what that means for the message: the state it goes to,
-- and the scope and reason of the hold that it has to wait behind. given, in this order: what to hold ('', 'sender', 'some', 'template:<id>'),
-- for which priorities, how long (ms), at most (ms); what to suppress of the number ('', 'all', 'bulk'), for how long (ms, 0 for ever); what a
-- run of such failures holds ('', 'sender', 'template:<id>'); and as '1' or '0': the failure concerns the message alone; a culprit waits instead
-- of dying; Gupshup was asked. Last, the process that saw the failure.
local function follow(id, r, target, class, code, given, late)
  local scope, priorities, span, most, suppressing, suppress_for, guarded, well, patient, asked, seen_by = unpack(given)
  well, patient, asked = well == '1', patient == '1', asked == '1'
  if suppressing ~= '' then suppress(phone(r), suppressing, code, 'code', num(suppress_for) > 0 and now + num(suppress_for) or 0) end
  local held_by
  if class == 'account' and scope == 'sender' and culprit(id, r, code, late, patient) then
    scope, well = '', true -- it goes its own way, and holds nobody up
    if not patient then
      target = 'dead'
      if template_of(r) ~= '' then guarded = 'template:' .. template_of(r) end
    end
  end
  if scope ~= '' then
    set_hold(scope, id, template_of(r), class, code, priorities, num(span), num(most), late, seen_by)
    if target == 'queued' then held_by = scope end
  end
  if guarded ~= '' and target == 'dead' and storm(id, r, guarded, code, late, seen_by) then target, held_by = 'queued', guarded end
  missed(id, well, asked, late) -- what the failure has set a probe's hold further off for is settled by now
  local h = held_by and hold_of(held_by)
  if active(h) and covers(h, r.pr) then return target, held_by, h.reason end
  return target
end

return {
  hold_of = hold_of, keep_hold = keep_hold, begin_hold = begin_hold, all_holds = all_holds, active = active, covers = covers, template_of = template_of,
  holding = holding, missed = missed, keep_back = keep_back, set_hold = set_hold, finish_hold = finish_hold, got_through = got_through, follow = follow,
  probing = probing, band = band, scopes_of = scopes_of, RECALL = RECALL,
}

-- What failures leave behind beyond their message: holds and suppressed numbers. Part of the scripts that write or obey them.

-- set_hold keeps a sender ('sender', or 'some' of its priorities) or a 'template:<id>' from being sent for a while.
local function set_hold(scope, class, code, priorities, span, most)
  local hold = P .. 'hold'
  local old = redis.call('HGET', hold, scope)
  old = old and cjson.decode(old)
  if old and old['until'] > now then return end
  -- A hold that ran out and failed again in the same way lasts longer each time.
  if old and old.reason ~= class then old = nil end
  local tries = old and old.tries + 1 or 0
  local till = now + math.min(span * 2 ^ math.min(tries, 20), most)
  redis.call('HSET', hold, scope, cjson.encode({ reason = class, code = code, priorities = priorities, tries = tries,
    since = old and old.since or now, ['until'] = till }))
end

-- A number has up to two entries in the hash: under itself for everything, and under '<number>/bulk' for bulk.
local function suppression_field(number, scope) return scope == 'bulk' and number .. '/bulk' or number end

-- suppress keeps the sender from a number: scope 'all' or 'bulk', till 0 for ever. What lasts longer stays.
local function suppress(number, scope, code, source, till)
  local field = suppression_field(number, scope)
  local old = redis.call('HGET', P .. 'suppress', field)
  old = old and cjson.decode(old)
  if old and (old['until'] == 0 or (till ~= 0 and old['until'] >= till)) then return end
  -- Times go in as text: cjson would write them as 1.7e+12.
  redis.call(till > 0 and 'ZADD' or 'ZREM', P .. 'suppress:until', unpack(till > 0 and { int(till), field } or { field }))
  redis.call('HSET', P .. 'suppress', field, string.sub(cjson.encode({ scope = scope, code = code, source = source }), 1, -2)
    .. ',"since":' .. int(now) .. ',"until":' .. int(till) .. '}')
end

-- suppressed answers the entry that keeps a message of this priority from a number, or nil.
local function suppressed(number, priority)
  local entries = priority == 'bulk' and redis.call('HMGET', P .. 'suppress', number, number .. '/bulk')
    or { redis.call('HGET', P .. 'suppress', number) }
  for i = 1, 2 do
    local entry = entries[i] and cjson.decode(entries[i])
    if entry and (entry['until'] == 0 or entry['until'] > now) then return entry end
  end
end

-- suppress_now ends a queued message because of that entry.
local function suppress_now(id, r, entry)
  move(id, r, 'suppressed', 'co', 'SUPPRESSED', 'cl', 'recipient', 're', 'the number is suppressed: ' .. entry.code .. ' (' .. entry.source .. ')')
  redis.call('HDEL', record(id), 'nb', 'wf', 'ws')
  place(id, r.pr)
end

-- follow does to others what the failure of one message asks for. given: what to hold ('', 'sender', 'some', 'template:<id>'), for
-- which priorities, how long (ms), at most (ms), what to suppress of the number ('', 'all', 'bulk'), for how long (ms, 0 for ever).
local function follow(r, class, code, given)
  if given[1] ~= '' then set_hold(given[1], class, code, given[2], num(given[3]), num(given[4])) end
  if given[5] ~= '' then suppress(phone(r), given[5], code, 'code', num(given[6]) > 0 and now + num(given[6]) or 0) end
end

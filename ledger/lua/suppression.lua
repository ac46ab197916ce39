-- Numbers that are not written to any more. Part of the scripts that write or obey them.

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

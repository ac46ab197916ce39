-- find tells which message a messageId, Gupshup's or WhatsApp's, belongs to.
-- ARGV: 2 its bucket, 3 its field, 4 how many days back
-- Returns: the message's id, or nothing
local today = math.floor(now / 86400000)
for day = today + 1, today - num(ARGV[4]), -1 do
  local id = redis.call('HGET', P .. 'x:' .. int(day) .. ':' .. ARGV[2], ARGV[3])
  if id then
    local found, mark = string.match(id, '^(.*):%d+:(%d+)$')
    return stamp({ ca = redis.call('HGET', record(found), 'ca') or '' }) == mark and found
  end
end
return false

-- resume takes an entry for bulk off the list of suppressed numbers, unless a person put it there.
-- ARGV: 2 its field
-- Returns: 1 if it did
local entry = redis.call('HGET', P .. 'suppress', ARGV[2])
if not entry or cjson.decode(entry).source == 'hand' then return 0 end
return redis.call('HDEL', P .. 'suppress', ARGV[2])

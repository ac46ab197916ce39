-- unsuppress takes a number off the list if only bulk was suppressed.
-- ARGV: 2 number
-- Returns: 1 if it did
local entry = redis.call('HGET', P .. 'suppress', ARGV[2])
if not entry or cjson.decode(entry).scope ~= 'bulk' then return 0 end
return redis.call('HDEL', P .. 'suppress', ARGV[2])

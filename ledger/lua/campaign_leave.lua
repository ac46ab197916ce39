-- campaign_leave lets others read the file of a campaign at once, since whoever read it has ended.
-- ARGV: 2 id, 3 who read it
-- Returns: {'ok'}
if redis.call('HGET', camp_key(ARGV[2]), 'ow') == ARGV[3] then redis.call('HDEL', camp_key(ARGV[2]), 'ow', 'ot') end
return { 'ok' }

-- campaign_create notes what a campaign is to send, or tells what is known of one with that id.
-- ARGV: 2 id, 3 definition, 4 template, 5 priority, 6 start at (ms, 0 now)
-- Returns: {'created' | 'exists', its fields, its counts, lists of {zone, fields}}
local id = ARGV[2]
local outcome = 'exists'
if redis.call('EXISTS', camp_key(id)) == 0 then
  outcome = 'created'
  redis.call('HSET', camp_key(id), 'st', 'scheduled', 'def', ARGV[3], 'tp', ARGV[4], 'pr', ARGV[5], 'sa', ARGV[6], 'ca', NOW, 'ua', NOW)
  redis.call('ZADD', P .. 'campaigns', NOW, id)
  redis.call('ZADD', OPEN, NOW, id)
end
local zones = redis.call('HGET', camp_key(id), 'zs')
return { outcome, redis.call('HGETALL', camp_key(id)), redis.call('HGETALL', camp_key(id) .. ':count'), tracks(id, zones) }

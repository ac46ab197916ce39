-- campaign_show tells of campaigns.
-- ARGV: 2… ids
-- Returns: lists of {id, fields, counts, lists of {zone, fields}}; those that there are
local out = {}
for i = 2, #ARGV do
  local fields = redis.call('HGETALL', camp_key(ARGV[i]))
  if #fields > 0 then
    local zones = redis.call('HGET', camp_key(ARGV[i]), 'zs')
    out[#out + 1] = { ARGV[i], fields, redis.call('HGETALL', camp_key(ARGV[i]) .. ':count'), tracks(ARGV[i], zones) }
  end
end
return out

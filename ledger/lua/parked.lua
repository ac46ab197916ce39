-- parked lists receipts whose messageId nobody knows, those of the messageId that waits longest first.
-- ARGV: 2 at most how many
-- Returns: a list of lines, see receipt.lua
local out, most = {}, num(ARGV[2])
for _, mid in ipairs(redis.call('ZRANGE', P .. 'parked', 0, most - 1)) do
  for _, line in ipairs(redis.call('LRANGE', P .. 'parked:' .. mid, 0, -1)) do
    if #out == most then return out end
    out[#out + 1] = line
  end
end
return out

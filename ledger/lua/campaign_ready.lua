-- campaign_ready says that the whole file was read.
-- ARGV: 2 id, 3 who read it, 4 lines
-- Returns: {'ok', state} | {'gone'} | {'closed', state}: also if it had been read whole with other lines | {'busy'} | {'moved', lines}
local id = ARGV[2]
local c = camp(id)
if not c then return { 'gone' } end
if c['in'] then return { num(c.li) == num(ARGV[4]) and 'ok' or 'closed', c.st } end
local st = after(c.st, num(c.sa) > now and 'await' or 'start')
if not st then return { 'closed', c.st } end
if c.ow and c.ow ~= ARGV[3] and num(c.ot) > now then return { 'busy' } end
if num(c.li) ~= num(ARGV[4]) then return { 'moved', num(c.li) } end
turn(id, c, st, 'in', '1')
redis.call('HDEL', camp_key(id), 'ow', 'ot')
return { 'ok', st }

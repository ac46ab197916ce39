-- purge deletes a dead letter for good. Its count moves to 'retired', so that the audit still balances.
-- ARGV: 2 id
-- Returns: {'purged'} | {'not_dead', status} | {'gone'}
local id = ARGV[2]
local key = record(id)
local st = redis.call('HGET', key, 'st')
if not st then return { 'gone' } end
if st ~= 'dead' then return { 'not_dead', st } end
redis.call('DEL', key)
redis.call('ZREM', P .. 'dead', id)
count('dead', -1)
count('retired', 1)
return { 'purged' }

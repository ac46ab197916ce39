-- replay makes a dead letter a message again: a new generation with a new budget of attempts.
-- ARGV: 2 id
-- Returns: {'replayed', generation, priority, to, template id} | {'not_dead', status} | {'gone'}
local id = ARGV[2]
local key = record(id)
local r = redis.call('HMGET', key, 'st', 'gen', 'pr', 'to', 'tp')
if not r[1] then return { 'gone' } end
if r[1] ~= 'dead' then return { 'not_dead', r[1] } end
move(id, 'dead', 'queued')
redis.call('HDEL', key, 'sp', 'fi', 'pk', 'nb', 'ex')
local generation = redis.call('HINCRBY', key, 'gen', 1)
place(id, r[3], 'waiting', now)
return { 'replayed', generation, r[3], r[4], r[5] or '' }

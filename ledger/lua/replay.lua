-- replay makes a dead letter a message again: a new generation with a new budget of attempts. Asked only to look, it tells whether it would.
-- ARGV: 2 id, 3 the generation that the caller saw, 4 'look': change nothing
-- Returns: {'replayed', generation, priority, to, template id} | {'not_dead', status} | {'suppressed', code} | {'cancelled', campaign} | {'gone'}
local id = ARGV[2]
local r = read(id)
if not r then return { 'gone' } end
local generation, look = num(r.gen) + 1, ARGV[4] == 'look'
if not look and r.st == 'queued' and num(r.gen) == num(ARGV[3]) + 1 then return { 'replayed', num(r.gen), r.pr, r.to, r.tp or '' } end -- repeated
if r.st ~= 'dead' then return { 'not_dead', r.st } end
local entry = suppressed(phone(r), r.pr)
if entry then return { 'suppressed', entry.code } end -- it would end at its claim, and be no dead letter any more
if r.cm and redis.call('HGET', P .. 'c:' .. r.cm, 'st') == 'cancelled' then return { 'cancelled', r.cm } end -- so would this one
if look then return { 'replayed' } end
r.ex = nil
move(id, r, 'queued', 'gen', generation)
redis.call('HDEL', record(id), 'sp', 'fi', 'pk', 'nb', 'ex', 'hf')
place(id, r.pr, 'waiting', now)
return { 'replayed', generation, r.pr, r.to, r.tp or '' }

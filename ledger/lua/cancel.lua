-- cancel takes back a message that has not been sent, wherever it waits: for its task, for a time, or behind a hold.
-- ARGV: 2 id
-- Returns: {'cancelled'}, also if it is that already | {'too_late', status} | {'gone'}
local id = ARGV[2]
local r = read(id)
if not r then return { 'gone' } end
if r.st == 'cancelled' then return { 'cancelled' } end
if not legal(r.st, 'cancelled') then return { 'too_late', r.st } end
take_back(id, r) -- should it be the probe of a hold, that hold soon takes another
return { 'cancelled' }

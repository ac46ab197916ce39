-- receive records one receipt: what Gupshup told, by callback, of a message that it took.
-- ARGV: 2 messageId, 3 its bucket, 4 its field, 5 WhatsApp's id, 6 its bucket, 7 its field, 8 letter of the event (b: billing),
--       9 when it happened (ms, 0 now), 10 code (billing: category), 11 class, 12 reason, 13 number, 14 how many days back the index
--       goes, 15 how long its entries are kept (s), 16 how long a callback may claim a doubt (ms), 17 most messageIds parked
-- Returns: {'applied' | 'repeated' | 'parked' | 'ignored', id, attempt, status, where its trace goes on}
local e = { mid = ARGV[2], bucket = ARGV[3], field = ARGV[4], wa = ARGV[5], wa_bucket = ARGV[6], wa_field = ARGV[7], letter = ARGV[8],
  at = num(ARGV[9]), code = ARGV[10], class = ARGV[11], reason = ARGV[12], to = ARGV[13] }
local days, kept, window, most = num(ARGV[14]), ARGV[15], num(ARGV[16]), num(ARGV[17])
if e.at == 0 then e.at = now end
redis.call('HSET', P .. 'heard', 'last', int(now))
if e.mid == '' then return { 'ignored', '', 0, '', '' } end

local id, n, mark = on().lookup(e.bucket, e.field, days)
if not id and e.letter ~= 'b' and e.to ~= '' and redis.call('EXISTS', on().doubt_key(e.to)) == 1 then
  id, n = on().candidate(e.to, e.at, window)
  if id then
    local r = read(id)
    local before = on().good(r)
    on().adopt(id, r, n, e, kept)
    local _, text = on().unpark(id, r, n, e.mid, kept)
    local _, reason = on().take_in(id, r, n, e, kept)
    on().advance(id, r, before, reason or text)
    return { 'applied', id, n, r.st, r.tc or '' }
  end
end
if not id then
  on().park(e.mid, on().parked_line(e), e.to, most)
  return { 'parked', '', 0, '', '' }
end
local r = read(id)
if not r or stamp(r) ~= mark then return { 'ignored', id, n, '', '' } end -- retired, or purged and another has its id now
local before = on().good(r)
local new, reason = on().take_in(id, r, n, e, kept)
on().advance(id, r, before, reason)
return { new and 'applied' or 'repeated', id, n, r.st, r.tc or '' }

-- campaign_steer pauses, resumes or cancels a campaign.
-- ARGV: 2 id, 3 'pause' | 'resume' | 'cancel' | 'abandon' (cancel it, unless all its rows were read), 4 why, 5 who
-- Returns: {'ok', state} | {'gone'} | {'no', state} | {'reading'}: its rows are still being read | {'held', why}: its template is
local id, event = ARGV[2], ARGV[3]
local c = camp(id)
if not c then return { 'gone' } end
if event == 'abandon' then
  if c['in'] and c.st ~= 'cancelled' then return { 'no', c.st } end
  event = 'cancel'
end
local scope, hold = 'campaign:' .. id, held()
if event == 'pause' and c.st == 'paused' and c.by ~= 'template' or event == 'resume' and (c.st == 'running' or c.st == 'scheduled' and c['in'])
  or event == 'cancel' and c.st == 'cancelled' then
  return { 'ok', c.st }
end
if event == 'pause' and not c['in'] and c.st ~= 'completed' and c.st ~= 'cancelled' then return { 'reading' } end
local st = after(c.st, event == 'resume' and c.st == 'paused' and num(c.sa) > now and 'await' or event)
if event == 'pause' and c.st == 'paused' then st = 'paused' end -- a person's pause outlives the template's
if not st then return { 'no', c.st } end

-- A person's pause that ends while the template is held becomes the template's, and ends with it.
local template = event == 'resume' and st == 'running' and hold.hold_of('template:' .. c.tp)
local held_for = template and hold.active(template) and template_held(template)
if event == 'pause' then
  -- What has become a message already waits behind a hold, as behind any other, except that nobody is alerted of what a person did.
  hold.keep_hold(scope, { reason = 'paused', code = '', note = ARGV[4], priorities = '', since = now, by = ARGV[5], span = 0, most = 0,
    tries = 0, ['until'] = 0 })
else
  local h = hold.hold_of(scope)
  if hold.active(h) then
    h.ended = now
    hold.keep_hold(scope, h)
  end
end
if held_for then
  turn(id, c, c.st, 're', held_for, 'by', 'template')
  return { 'held', held_for }
elseif event == 'resume' then
  redis.call('HDEL', camp_key(id), 're', 'by')
  turn(id, c, st)
else
  turn(id, c, st, 're', ARGV[4], 'by', ARGV[5])
end
if event == 'cancel' then
  local left = num(c.ro) - num(c.xp)
  local chunk, row = num(c.cu), num(c.of) -- behind the last row that is a message
  for zone in string.gmatch(c.zs or '', '%S+') do
    local at = redis.call('HMGET', track_key(id, zone), 'cu', 'of')
    if num(at[1]) > chunk or num(at[1]) == chunk and num(at[2]) > row then chunk, row = num(at[1]), num(at[2]) end
  end
  redis.call('HSET', camp_key(id), 'cc', int(chunk), 'cf', int(row))
  count('queued', -left)
  count('cancelled', left)
  count('rows', -left)
  tally(id, 'queued', -left)
  tally(id, 'cancelled', left)
end
return { 'ok', st }

-- hold_set holds a sender, some of its priorities, or a template: because a person says so, or because a worker saw an outage.
-- ARGV: 2 scope, 3 reason, 4 code, 5 note, 6 priorities, 7 who ('' for the policy, which tries it again by itself), 8 until (ms, 0 until it is
--       released), 9 how far off the first probe is (ms), 10 at most (ms), 11 the process that asks for it
-- Returns: 'held', or 'there already'
local scope, who = ARGV[2], ARGV[7]
if who == '' then
  local before = held().hold_of(scope)
  held().set_hold(scope, '', '', ARGV[3], ARGV[4], ARGV[6], num(ARGV[9]), num(ARGV[10]), false, ARGV[11])
  return held().active(before) and 'there already' or 'held'
end
-- What a person adds to what they hold already widens it; to hold less, they release it first.
local priorities, till = ARGV[6], num(ARGV[8])
local before = held().hold_of(scope)
if held().active(before) then
  if before.by == who and before.note == ARGV[5] and before.priorities == priorities and before['until'] == till then return 'there already' end -- repeated
  if scope == 'hand some' then
    local both, wider = '', false
    for _, p in ipairs({ 'critical', 'default', 'bulk' }) do
      local was, is = held().covers(before, p), held().covers({ priorities = ARGV[6] }, p)
      if was or is then both = both .. p .. ' ' end
      wider = wider or was and not is
    end
    priorities = both
    if wider and till > 0 then till = before['until'] > 0 and math.max(till, before['until']) or 0 end
  end
end
held().begin_hold(scope, { reason = ARGV[3], code = ARGV[4], note = ARGV[5], priorities = priorities, since = now, by = who, span = 0, most = 0, tries = 0,
  ['until'] = till })
return 'held'

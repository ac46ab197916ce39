-- hold_end releases what is held. What waits behind it is let go by the sweeper, bit by bit.
-- ARGV: 2 scope, 3 who releases it
-- Returns: 1 if it was held
local h = held().hold_of(ARGV[2])
if not held().active(h) then return 0 end
h.tries = -1 -- should the trouble come back, it is a new one
held().finish_hold(ARGV[2], h, ARGV[3])
return 1

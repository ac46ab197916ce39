-- suppress keeps the sender from a number.
-- ARGV: 2 number, 3 'all' or 'bulk', 4 code, 5 source, 6 until (ms, 0 for ever)
-- Returns: 'ok'
suppress(ARGV[2], ARGV[3], ARGV[4], ARGV[5], num(ARGV[6]))
return 'ok'

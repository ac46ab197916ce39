-- Messages with ids of their own, to random numbers.
local threads = 0
function setup(thread)
  thread:set('name', threads)
  threads = threads + 1
end
function init()
  math.randomseed(os.time() + name * 7919)
  run, n = os.getenv('RUN'), 0
  wrk.headers['Authorization'], wrk.headers['Content-Type'] = 'Bearer ' .. os.getenv('API_KEY'), 'application/json'
end
function request()
  n = n + 1
  return wrk.format('POST', '/v1/messages', nil, string.format('{"id":"%s-%d-%d","sender":"shop","to":"9198%08d","template":'
    .. '{"id":"c6aecef6-bcb0-4fb1-8100-28c094e3bc6b","params":["Asha","48291","Friday","20%%"]}}', run, name, n, math.random(0, 99999999)))
end
dofile(os.getenv('SUMMARY'))

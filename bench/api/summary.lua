-- What came of a run, on one line: requests/s, p50, p90, p99 and max in ms, answers that were errors.
function done(summary, latency, _)
  local e = summary.errors
  io.write(string.format('RESULT %.0f %.2f %.2f %.2f %.1f %d\n', summary.requests / summary.duration * 1e6, latency:percentile(50) / 1000,
    latency:percentile(90) / 1000, latency:percentile(99) / 1000, latency.max / 1000, e.status + e.connect + e.read + e.write + e.timeout))
end

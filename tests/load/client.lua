-- One request over and over, and what came of it as one line of JSON.
wrk.method = os.getenv("METHOD")
wrk.path = os.getenv("TARGET")
wrk.body = os.getenv("BODY")
if wrk.body ~= nil then
  wrk.headers["Content-Type"] = "application/json"
end

function done(summary, latency, requests)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write
    + summary.errors.timeout
  io.write(string.format(
    '\nRESULT {"requests": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, '
      .. '"refused": %d, "failed": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, summary.errors.status, failed))
end

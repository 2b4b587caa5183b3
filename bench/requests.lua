-- For wrk: sends one kind of request as many users, and prints its figures on one line.
--
--   wrk -t2 -c64 -d2s -s requests.lua URL -- TARGETS METHOD PATH [BODY]
--
-- TARGETS is a file that bench_seed wrote. In PATH, `:id` stands for the conversation of a
-- line. Every request is made once, before the load begins.

local next_thread = 0

function setup(thread)
  thread:set("first", next_thread)
  next_thread = next_thread + 1
end

function init(arguments)
  local targets, method, path, body = arguments[1], arguments[2], arguments[3], arguments[4]
  requests = {}
  for line in io.lines(targets) do
    local token, id = line:match("^(.-)\t(.-)$")
    local headers = {["Authorization"] = "Bearer " .. token}
    if body then headers["Content-Type"] = "application/json" end
    requests[#requests + 1] = wrk.format(method, (path:gsub(":id", id)), headers, body)
  end
  -- The threads begin at different places, so that they do not all ask for the same.
  at = first * 997 % #requests
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency, _)
  local errors = summary.errors
  local broken = errors.connect + errors.read + errors.write + errors.timeout
  print(string.format("requests=%d duration_us=%d bytes=%d p50_us=%d p99_us=%d refused=%d broken=%d",
    summary.requests, summary.duration, summary.bytes, latency:percentile(50),
    latency:percentile(99), errors.status, broken))
end

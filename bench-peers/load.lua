-- Load for wrk: sends the signed requests of a file in turn, keep-alive, and prints one line of JSON at the end.
-- wrk -s load.lua URL -- FILE ; a line of FILE is: target TAB key TAB signature TAB timestamp TAB passphrase.

local requests, n_requests, next_request = {}, 0, 0

function init(args)
  local host = wrk.host .. ":" .. wrk.port
  for line in io.lines(args[1]) do
    local target, key, signature, timestamp, passphrase = line:match("^(.-)\t(.-)\t(.-)\t(.-)\t(.-)$")
    n_requests = n_requests + 1
    requests[n_requests] = "GET " .. target .. " HTTP/1.1\r\nHost: " .. host
      .. "\r\nOK-ACCESS-KEY: " .. key .. "\r\nOK-ACCESS-SIGN: " .. signature
      .. "\r\nOK-ACCESS-TIMESTAMP: " .. timestamp .. "\r\nOK-ACCESS-PASSPHRASE: " .. passphrase .. "\r\n\r\n"
  end
end

function request()
  next_request = next_request % n_requests + 1
  return requests[next_request]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n@{"requests":%d,"microseconds":%d,"refused":%d,"broken":%d,"p50_us":%d,"p99_us":%d}\n',
    summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end

-- wrk ... -s load.lua URL -- METHOD PATH BODY TOKENS KEYED PART RUN
--
-- Every request carries the next citizen's token; KEYED ones a key that is never used twice. PART is a piece of text that
-- an answer holds once for each part that is in order: answers are counted by how many they hold. An empty argument is "-".
local method, path, body, tokens, keyed, part, run
local heads, sent = {}, 0
local threads = {}

local function given(text) if text and text ~= "-" then return text end end

function setup(thread) threads[#threads + 1] = thread end

function init(args)
  method, path, body = args[1], args[2], given(args[3]) or ""
  tokens, keyed, part, run = given(args[4]), given(args[5]), given(args[6]), args[7]
  local start = method .. " " .. path .. " HTTP/1.1\r\nHost: bench.test\r\nAccept: application/json\r\n"
  if body ~= "" then start = start .. "Content-Type: application/json\r\nContent-Length: " .. #body .. "\r\n" end
  if tokens then
    for line in io.lines(tokens) do heads[#heads + 1] = start .. "Authorization: Bearer " .. line .. "\r\n" end
  else
    heads[1] = start
  end
  -- Counting reads every answer, so it is there only for the job that needs it.
  if part then
    counted = {0, 0, 0, 0, 0, 0}
    response = function(status, _, text)
      local n, at = 0, 1
      if status >= 400 then return end
      while n < 5 do
        local _, last = string.find(text, part, at, true)
        if not last then break end
        n, at = n + 1, last + 1
      end
      counted[n + 1] = counted[n + 1] + 1
    end
  end
end

function request()
  sent = sent + 1
  local head = heads[sent % #heads + 1]
  if keyed then return head .. "Idempotency-Key: " .. run .. "-" .. sent .. "\r\n\r\n" .. body end
  return head .. "\r\n" .. body
end

function done(summary, latency)
  local seen = threads[1]:get("counted")
  local e = summary.errors
  io.write(string.format(
    '{"answers":%d,"seconds":%.4f,"p50_ms":%.2f,"p99_ms":%.2f,"refused":%d,"broken":%d,"late":%d,"parts":[%s]}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.status, e.connect + e.read + e.write, e.timeout, seen and table.concat(seen, ",") or ""))
end

-- For loads that are a list of requests, each sent once: hands them out, and ends the run when all are answered.
local feed = dofile(os.getenv("BENCH_WRK") .. "/feed.lua")
local now = dofile(os.getenv("BENCH_WRK") .. "/clock.lua")
local once = {}

local FOREVER_MS = 3600000
local taken, sent, answered = 0, 0, 0

-- wrk asks for a delay before each request: where there is nothing left to send, the connection rests for good.
function once.delay(share)
    taken = taken + 1
    if taken > share then return FOREVER_MS end
    if taken == 1 then first_us = now() end
    return 0
end

-- What is to be sent next. Connections ask for their delays first and for their requests later, so those are counted
-- apart. wrk also asks for one request before the load begins, to look at it: that one is not sent.
function once.row(list)
    if taken > 0 then sent = sent + 1 end
    return list[math.max(1, math.min(sent, #list))]
end

-- Counts an answer; the bench is told when this thread's last one came, and then ends the run.
function once.answer(status, share)
    answered = answered + 1
    local key = "s" .. status
    _G[key] = (_G[key] or 0) + 1
    last_us = now()
    if status == 201 then created_us = last_us end
    if answered == share then
        io.write("THREAD DONE\n")
        io.flush()
    end
end

-- How many answers had each of these statuses, and when the first request, the last answer and the last 201 were.
function once.done(summary, latency, expected)
    local first, last, created, counts = math.huge, 0, 0, {}
    for _, thread in ipairs(feed.threads()) do
        first = math.min(first, thread:get("first_us") or math.huge)
        last = math.max(last, thread:get("last_us") or 0)
        created = math.max(created, thread:get("created_us") or 0)
        for _, status in ipairs(expected) do
            counts[status] = (counts[status] or 0) + (thread:get("s" .. status) or 0)
        end
    end
    local more = string.format(',"took_us":%d,"created_us":%d', last - first, math.max(created - first, 0))
    for _, status in ipairs(expected) do more = more .. string.format(',"s%d":%d', status, counts[status]) end
    feed.done(summary, latency, more)
end

once.feed = feed
return once

-- Every member of buyers.tsv orders one piece of the SKU BENCH_SKU at once.
local once = dofile(os.getenv("BENCH_WRK") .. "/once.lua")
local feed = once.feed

function setup(thread) feed.setup(thread) end

local mine, run, body = nil, os.getenv("BENCH_RUN"), nil
local headers = { ["Content-Type"] = "application/json" }

function init(args)
    mine = feed.share(feed.rows("buyers.tsv"), number, count)
    body = string.format('{"lines":[{"skuId":"%s","quantity":1}],"expectedPayFen":%s}',
        os.getenv("BENCH_SKU"), os.getenv("BENCH_FEN"))
end

function delay() return once.delay(#mine) end

function request()
    local row = once.row(mine)
    headers["Authorization"] = "Bearer " .. row[1]
    headers["Idempotency-Key"] = string.format("%s-%s", run, row[2])
    return wrk.format("POST", "/api/v1/orders", headers, body)
end

function response(status, headers, body) once.answer(status, #mine) end

function done(summary, latency) once.done(summary, latency, { 201, 409 }) end

-- Hand over the notices of notices.tsv (timestamp, nonce, signature, body), each once.
local once = dofile(os.getenv("BENCH_WRK") .. "/once.lua")
local feed = once.feed

function setup(thread) feed.setup(thread) end

local mine

function init(args)
    mine = feed.share(feed.rows("notices.tsv"), number, count)
end

local headers = {
    ["Content-Type"] = "application/json",
    ["Wechatpay-Serial"] = os.getenv("BENCH_KEY_ID"),
    ["Wechatpay-Signature-Type"] = "WECHATPAY2-SHA256-RSA2048",
}

function delay() return once.delay(#mine) end

function request()
    local row = once.row(mine)
    headers["Wechatpay-Timestamp"] = row[1]
    headers["Wechatpay-Nonce"] = row[2]
    headers["Wechatpay-Signature"] = row[3]
    return wrk.format("POST", "/wechat/pay/notify", headers, row[4])
end

function response(status, headers, body) once.answer(status, #mine) end

function done(summary, latency) once.done(summary, latency, { 204 }) end

-- Microseconds of the monotonic clock; Lua itself has none finer than a second.
local ffi = require("ffi")
ffi.cdef [[
    typedef struct { long seconds; long nanoseconds; } bench_time;
    int clock_gettime(int clock, bench_time *time);
]]
local time = ffi.new("bench_time[1]")

return function()
    ffi.C.clock_gettime(1, time)
    return tonumber(time[0].seconds) * 1000000 + math.floor(tonumber(time[0].nanoseconds) / 1000)
end

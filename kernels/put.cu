// `bench put`: one PE writes to another.
#include "railtop.cuh"

// Each iteration, each thread, warp or block posts a put of `len` bytes at an offset of its own.
extern "C" __global__ void rt_put_bw(rt_pe pe, u32 dst, u64 send, u64 receive, u64 len, u32 scope, u64 iters) {
    u32 each = scope == RT_THREAD ? 1 : scope == RT_WARP ? 32 : blockDim.x;
    u32 workers = (blockDim.x + each - 1) / each;
    u64 at = ((u64)blockIdx.x * workers + threadIdx.x / each) * len;
    for (u64 i = 0; i < iters; i++) {
        if (scope == RT_THREAD) rt_put(pe, receive + at, send + at, len, dst);
        if (scope == RT_WARP) rt_put_warp(pe, receive + at, send + at, len, dst);
        if (scope == RT_BLOCK) rt_put_block(pe, receive + at, send + at, len, dst);
    }
}

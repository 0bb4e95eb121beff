// `bench put`: one PE writes to another.
#include "railtop.cuh"

// Each iteration, each of the first `workers` threads of each block posts a put of `len` bytes at an offset of its own.
extern "C" __global__ void rt_put_bw(rt_pe pe, u32 dst, u64 send, u64 receive, u64 len, u32 workers, u64 iters) {
    if (threadIdx.x >= workers) return;
    u64 at = ((u64)blockIdx.x * workers + threadIdx.x) * len;
    for (u64 i = 0; i < iters; i++) rt_put(pe, receive + at, send + at, len, dst);
}

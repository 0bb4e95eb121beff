// `bench put`: one PE writes to another.
#include "railtop.cuh"

// Each iteration, each thread, warp or block puts `len` bytes at an offset of its own.
extern "C" __global__ void __launch_bounds__(1024) rt_put_bw(rt_pe pe, u32 dst, u64 send, u64 receive, u64 len, u32 scope,
                                                             u64 iters) {
    u32 each = scope == RT_THREAD ? 1 : scope == RT_WARP ? 32 : blockDim.x;
    u32 workers = (blockDim.x + each - 1) / each;
    u64 at = ((u64)blockIdx.x * workers + threadIdx.x / each) * len;
    u8 *peer = rt_reach(pe, dst);
    // The last warp of a block may have fewer.
    u32 rank = threadIdx.x % each, ranks = min(each, blockDim.x - (threadIdx.x - rank));
    // Nothing waits here: blocks and warps need not go in step, and what one posts it has not written.
    u64 said = 0;
    // Whether the job has failed lies in the host's memory, which is far: asked by one thread of a warp, and less often where
    // iterations are short.
    const u64 between = len / ranks < 8192 ? 255 : 7;
    for (u64 i = 1; i <= iters; i++) {
        if ((i & between) == 0 && __any_sync(__activemask(), threadIdx.x % 32 == 0 && rt_load(pe.stop))) return;
        rt_put_by(pe, peer, receive + at, send + at, len, dst, rank, ranks);
        rt_beat(pe, said);
    }
    rt_fence_sys();
}

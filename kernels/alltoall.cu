// `bench alltoall`: every PE writes a block to every other one, as NVSHMEM's alltoall_latency. One block of threads.
#include "railtop.cuh"

// Block `p` of the send buffer goes to PE p, into the block of this PE there. `words` has a word per PE, which that PE adds
// 1 to when its block has landed here; `before` is what each of them has by now.
extern "C" __global__ void rt_alltoall(rt_pe pe, u64 send, u64 receive, u64 stride, u64 len, u64 words, u64 before,
                                       u64 iters) {
    for (u64 i = 1; i <= iters; i++) {
        // In ring order, as the host's: peers one after another.
        for (u32 step = 1 + threadIdx.x; step < pe.pes; step += blockDim.x) {
            u32 dst = (pe.me + step) % pe.pes;
            rt_put_signal(pe, receive + pe.me * stride, send + dst * stride, len, words + 8ull * pe.me, 1, RT_ADD, dst);
        }
        for (u32 step = 1 + threadIdx.x; step < pe.pes; step += blockDim.x) {
            u32 src = (pe.me + step) % pe.pes;
            rt_wait_until_ge(pe, words + 8ull * src, before + i);
        }
        __syncthreads();
        if (threadIdx.x == 0) rt_quiet(pe);
        __syncthreads();
    }
}

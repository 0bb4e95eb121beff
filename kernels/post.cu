// Posting by itself.
#include "railtop.cuh"

// Every thread posts `count` puts of `len` bytes with a signal that is added to; then all of it is waited for.
extern "C" __global__ void __launch_bounds__(1024) rt_post_many(rt_pe pe, u32 dst, u64 local, u64 remote, u64 len, u64 word,
                                                                u64 count) {
    for (u64 i = 0; i < count; i++) rt_put_signal(pe, remote, local, len, word, 1, RT_ADD, dst);
}

// One thread: a put with a signal there and one back, `rounds` times. The word has counted to `landed` before, on both PEs.
extern "C" __global__ void rt_ping_pong(rt_pe pe, u32 dst, u64 local, u64 remote, u64 len, u64 word, u64 landed, u64 rounds) {
    for (u64 i = 1; i <= rounds; i++) {
        if (pe.me < dst) rt_put_signal(pe, remote, local, len, word, 1, RT_ADD, dst);
        rt_wait_until_ge(pe, word, landed + i);
        if (pe.me > dst) rt_put_signal(pe, remote, local, len, word, 1, RT_ADD, dst);
    }
}

// The same by a thread that has its ring to itself; the data were there before the kernel.
extern "C" __global__ void rt_ping_pong_own(rt_pe pe, u32 dst, u64 local, u64 remote, u64 len, u64 word, u64 landed, u64 rounds) {
    rt_own own = rt_take_ring(pe, 0);
    rt_words put = rt_put_signal_words(pe, remote, local, len, word, 1, RT_ADD, dst);
    for (u64 i = 1; i <= rounds; i++) {
        if (pe.me < dst) rt_post_own(pe, own, put);
        rt_wait_until_ge(pe, word, landed + i);
        if (pe.me > dst) rt_post_own(pe, own, put);
    }
    rt_give_ring(own);
}

// One thread waits for everything that has been put.
extern "C" __global__ void rt_quiet_all(rt_pe pe) { rt_quiet(pe); }

// Adds to a word of every PE that this GPU should reach by itself: one for each PE, at the start of the heap. The number
// tells both ends.
extern "C" __global__ void rt_greet(rt_pe pe) {
    for (u32 dst = threadIdx.x; dst < pe.pes; dst += blockDim.x)
        if (rt_reach(pe, dst)) rt_signal(pe, 8ull * pe.me, 1 + (u64)pe.me * pe.pes + dst, RT_ADD, dst);
    rt_fence_sys();
}

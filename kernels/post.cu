// Posting by itself.
#include "railtop.cuh"

// Every thread posts `count` puts of `len` bytes with a signal that is added to; then all of it is waited for.
extern "C" __global__ void rt_post_many(rt_pe pe, u32 dst, u64 local, u64 remote, u64 len, u64 word, u64 count) {
    for (u64 i = 0; i < count; i++) rt_put_signal(pe, remote, local, len, word, 1, RT_ADD, dst);
}

// One thread waits for everything that has been posted.
extern "C" __global__ void rt_quiet_all(rt_pe pe) { rt_quiet(pe); }

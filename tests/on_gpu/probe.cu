// Kernels of tests/on_gpu: what only shows on a GPU.
#include "railtop.cuh"
#include "pattern.cuh"

// A number that tells `id` and `field`.
__device__ inline u64 probe_number(u64 id, u64 field) { return rt_pattern(rt_block{(u32)field, 7, 11}, id); }

__device__ inline rt_words probe_words(u64 id) {
    return {rt_head(RT_PUT, RT_ADD, (u32)probe_number(id, 1)), probe_number(id, 2) >> 8, probe_number(id, 3) >> 8,
            probe_number(id, 4) >> 8, id, probe_number(id, 5)};
}

// Every thread that takes part posts `count` descriptors with all fields made of their number, which comes first: part of
// the threads of a warp only, so that groups of every shape come together.
extern "C" __global__ void __launch_bounds__(1024) probe_post(rt_pe pe, u64 count, u64 low, u64 part) {
    u64 thread = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (!(part >> threadIdx.x % 32 & 1)) return;
    for (u64 i = 0; i < count; i++) {
        u64 id = thread * count + i;
        // With some, every third is late: others overtake it.
        if (low && id % 3 == 0) __nanosleep(id % 64 * 8);
        rt_post(pe, rt_my_ring(pe), probe_words(id));
    }
}

// The same by threads that have a ring each, in `turns` goes between which they give it back.
extern "C" __global__ void __launch_bounds__(1024) probe_post_own(rt_pe pe, u64 count, u64 turns) {
    u64 id = blockIdx.x * count * turns;
    for (u64 turn = 0; turn < turns; turn++) {
        rt_own own = rt_take_ring(pe, blockIdx.x);
        for (u64 i = 0; i < count; i++, id++) {
            if (id % 3 == 0) __nanosleep(id % 64 * 8);
            rt_post_own(pe, own, probe_words(id));
        }
        rt_give_ring(own);
    }
}

// A put by a scope to this PE itself.
extern "C" __global__ void __launch_bounds__(1024) probe_put(rt_pe pe, u64 remote, u64 local, u64 len, u32 scope) {
    if (scope == RT_THREAD && threadIdx.x == 0) rt_put(pe, remote, local, len, pe.me);
    if (scope == RT_WARP && threadIdx.x < 32) rt_put_warp(pe, remote, local, len, pe.me);
    if (scope == RT_BLOCK) rt_put_block(pe, remote, local, len, pe.me);
}

// A put with a signal to PE 1, whose GPU's memory plays this PE's own.
extern "C" __global__ void probe_put_signal(rt_pe pe, u64 remote, u64 local, u64 word) {
    u8 *const own[] = {pe.heap, pe.heap};
    pe.peers = own, pe.near = 0, pe.far = 2, pe.pes = 2;
    rt_put_signal(pe, remote, local, 8, word, 3, RT_ADD, 1);
}

// Puts and signals from half of the blocks; the others wait for the signals and look at the data at once. All blocks are on
// the GPU at once. `words`: a word for each pair of blocks.
extern "C" __global__ void __launch_bounds__(1024) probe_signal(rt_pe pe, u64 send, u64 receive, u64 len, u64 words,
                                                                u64 rounds, u32 scope, rt_report *report) {
    u32 pair = blockIdx.x / 2;
    u64 back = words + 8 * (gridDim.x / 2);
    send += pair * len, receive += pair * len;
    rt_block block = {pair, pe.me, 0};
    for (u64 round = 1; round <= rounds; round++) {
        block.round = round;
        if (blockIdx.x % 2 == 0) {
            rt_fill((u64 *)(pe.heap + send), block, len, 0, len, threadIdx.x, blockDim.x);
            __syncthreads();
            u64 word = words + 8 * pair;
            if (scope == RT_BLOCK) rt_put_signal_block(pe, receive, send, len, word, round, RT_SET, pe.me);
            if (scope == RT_WARP && threadIdx.x < 32) rt_put_signal_warp(pe, receive, send, len, word, 1, RT_ADD, pe.me);
            if (scope == RT_THREAD && threadIdx.x == 0) rt_put_signal(pe, receive, send, len, word, 1, RT_ADD, pe.me);
            // Before it is filled again.
            if (threadIdx.x == 0) rt_wait_until_ge(pe, back + 8 * pair, round);
            __syncthreads();
        } else {
            if (threadIdx.x == 0) rt_wait_until_ge(pe, words + 8 * pair, round);
            __syncthreads();
            rt_check((u64 *)(pe.heap + receive), block, len, 0, len, threadIdx.x, blockDim.x, report);
            __syncthreads();
            if (threadIdx.x == 0) rt_signal(pe, back + 8 * pair, 1, RT_ADD, pe.me);
        }
    }
}

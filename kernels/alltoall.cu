// `bench alltoall`: every PE writes a block to every other one, as NVSHMEM's alltoall_latency.
#include "railtop.cuh"
#include "pattern.cuh"

// How many PEs' heaps a block of threads has at hand.
#define RT_NEAR 64

struct rt_exchange {
    u64 send;    // a block for each PE
    u64 receive; // a block of each PE
    u64 stride;  // from one PE's block to the next
    u64 len;     // of a block
    u64 words;   // two for each block of threads of each PE: the last odd and the last even round whose part of that block's has landed here
    u64 round;   // of the first iteration, counted from 1 over all launches
    u64 half;    // bytes from one buffer to the other, which are used in turn when data are checked
    u32 apart;   // blocks that there may be: a PE has twice as many words
    u32 own;     // not 0: a PE's own block is copied, too
    u32 verify;  // not 0: blocks are filled, and checked the moment their signals have come
};

// Block `p` of the send buffer goes to PE p, into the block of this PE there; each block of threads takes a part of every
// block. All of the grid must be on the GPU at once.
//
// A round is over for a block of threads when all parts of all PEs have arrived here. Others of this PE may not even have sent
// theirs then, so who counts signals without asking whose they are takes one of the next round for one that is missing: hence
// words for each. Two of them, in turn: a block of threads sends its part of round r + 2 when it has all of the others' of r + 1, and those
// were sent when all of this PE's of r had landed. So nothing of the same word is under way twice, in whatever order it comes, what was
// sent in r may be filled again, and nobody waits for the proxy to say so. With two buffers, what is read here of one round is not
// overwritten before it is, either.
extern "C" __global__ void __launch_bounds__(1024) rt_alltoall(rt_pe pe, rt_exchange x, rt_report *report, u64 iters) {
    const u32 rank = threadIdx.x, ranks = blockDim.x;
    const u64 part = (x.len + 16 * gridDim.x - 1) / (16 * gridDim.x) * 16;
    const u64 from = min(x.len, part * blockIdx.x), len = min(x.len, from + part) - from;
    // In ring order, as the host's: PE number `step` behind this one, and its heap. The first ones' at hand.
    __shared__ u8 *near[RT_NEAR];
    for (u32 step = rank; step < RT_NEAR; step += ranks) near[step] = step < pe.pes ? rt_reach(pe, (pe.me + step) % pe.pes) : 0;
    __syncthreads();
    auto to = [&](u32 step) { return pe.me + step < pe.pes ? pe.me + step : pe.me + step - pe.pes; };
    auto reach = [&](u32 step) { return step < RT_NEAR ? near[step] : rt_reach(pe, to(step)); };

    auto word = [&](u32 src, u32 block, u64 round) { return x.words + 8 * (((u64)src * 2 + round % 2) * x.apart + block); };
    u64 said = 0;
    for (u64 i = 1; i <= iters; i++) {
        const u64 round = x.round + i - 1, half = x.verify && round % 2 ? x.half : 0;
        const u64 send = x.send + half, receive = x.receive + half;
        // Of this PE's block at another one.
        const u64 remote = receive + pe.me * x.stride + from, mine = word(pe.me, blockIdx.x, round);
        if (x.verify) {
            for (u32 dst = 0; dst < pe.pes; dst++) {
                rt_block block = {pe.me, dst, round};
                rt_fill((u64 *)rt_at(pe, send + dst * x.stride), block, x.len, from, from + len, rank, ranks);
            }
            __syncthreads();
        }
        // What takes longest first: posts, by a thread each.
        for (u32 step = 1 + rank; pe.posts && step < pe.pes; step += ranks)
            if (!reach(step)) rt_post_put_signal(pe, remote, send + to(step) * x.stride + from, len, mine, round, RT_SET, to(step));
        for (u32 step = 1; step < pe.pes; step++)
            if (u8 *peer = reach(step)) rt_copy(peer + remote, rt_at(pe, send + to(step) * x.stride + from), len, rank, ranks);
        __syncthreads();
        for (u32 step = 1 + rank; step < pe.pes; step += ranks)
            if (u8 *peer = reach(step)) rt_signal_by(pe, peer, mine, round, RT_SET, to(step));
        // While the others' are under way.
        if (x.own) rt_copy(rt_at(pe, remote), rt_at(pe, send + pe.me * x.stride + from), len, rank, ranks);
        bool failed = false;
        for (u32 k = rank; k < (pe.pes - 1) * gridDim.x; k += ranks) {
            u32 src = to(1 + k / gridDim.x);
            failed |= !rt_arrived(pe, word(src, k % gridDim.x, round), round);
        }
        if (__syncthreads_or(failed)) return;
        if (x.verify) {
            for (u32 src = 0; src < pe.pes; src++) {
                if (src == pe.me && !x.own) continue;
                rt_block block = {src, pe.me, round};
                rt_check((u64 *)rt_at(pe, receive + src * x.stride), block, x.len, from, from + len, rank, ranks, report);
            }
        }
        rt_beat(pe, said);
    }
    if (pe.posts && rank == 0) rt_quiet_mine(pe);
}

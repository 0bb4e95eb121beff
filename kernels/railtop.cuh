// What a kernel posts with: put, put with a signal, quiet, and waiting for signals. Addresses are offsets into the
// symmetric heap. The other side is src/transport/gpu/: descriptor.rs has the layout of a descriptor, ring.rs that of a
// ring. Compiled by NVRTC, without any header of CUDA's.
#pragma once

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

// One ring. `next` and `seen` lie in the GPU's own memory, the rest in the host's.
struct rt_ring {
    u64 *slots;       // depth descriptors of eight words
    const u64 *taken; // how many the proxy has taken
    const u64 *quiet; // the last quiet that is done, as the number of descriptors posted with it
    u64 *next;        // who posts next
    u64 *seen;        // `taken` as last read: the host's memory is far
};

// A PE as its kernels see it.
struct rt_pe {
    u8 *heap; // this PE's heap
    const rt_ring *rings;
    const u64 *stop; // not 0: the job has failed, nobody answers any more
    u32 ring_count;  // at most RT_RINGS
    u32 depth;       // of each ring, a power of two
    u32 me;
    u32 pes;
};

#define RT_RINGS 16

enum rt_signal { RT_NO_SIGNAL = 0, RT_SET = 1, RT_ADD = 2 };
enum rt_kind { RT_PUT = 1, RT_SIGNAL = 2, RT_QUIET = 3, RT_WRONG = 255 };
enum rt_scope { RT_THREAD = 0, RT_WARP = 1, RT_BLOCK = 2 };

// Loads and stores that other processors see, in the order of the fences between them.
__device__ inline u64 rt_load(const u64 *at) {
    u64 value;
    asm volatile("ld.relaxed.sys.global.u64 %0, [%1];" : "=l"(value) : "l"(at) : "memory");
    return value;
}

__device__ inline void rt_store2(u64 *at, u64 a, u64 b) {
    asm volatile("st.relaxed.sys.global.v2.u64 [%0], {%1, %2};" ::"l"(at), "l"(a), "l"(b) : "memory");
}

__device__ inline void rt_fence_sys() { asm volatile("fence.acq_rel.sys;" ::: "memory"); }

// Ends the thread when the job has failed: what it waits for would never come. Looks once in a while, for the word is far.
__device__ inline void rt_go_on(const rt_pe &pe, u32 &looks) {
    if (++looks % 256 == 0 && rt_load(pe.stop)) asm volatile("exit;");
}

// Takes the next place in a ring; threads of a warp that come together ask once.
__device__ inline u64 rt_reserve(const rt_ring &ring) {
    u32 together = __match_any_sync(__activemask(), (u64)ring.next);
    u32 lane, before;
    asm("mov.u32 %0, %%laneid;" : "=r"(lane));
    asm("mov.u32 %0, %%lanemask_lt;" : "=r"(before));
    int first = __ffs(together) - 1;
    u64 start = 0;
    if (lane == (u32)first) start = atomicAdd(ring.next, (u64)__popc(together));
    return __shfl_sync(together, start, first) + __popc(together & before);
}

// Posts one descriptor; returns its number, counted from 1. What this thread has written before, and what others have
// that it has met at a barrier, is visible to the proxy when it sees the descriptor.
__device__ inline u64 rt_post(const rt_pe &pe, const rt_ring &ring, u64 head, u64 local, u64 remote, u64 len, u64 offset,
                              u64 value) {
    u64 index = rt_reserve(ring);
    u64 mark = ((index / pe.depth) & 127) + 1;
    u64 *slot = ring.slots + (index & (pe.depth - 1)) * 8;
    u64 taken = *(volatile u64 *)ring.seen; // never too high
    // Words carry 56 bits: what does not fit must not become something else.
    if ((local | remote | len | offset) >> 56) head = RT_WRONG;
    u32 looks = 0;
    // The stores are within the loop: whose place is free must not wait for threads of its warp whose place becomes free
    // only afterwards.
    for (bool posted = false; !posted;) {
        if (index - taken >= pe.depth) {
            taken = rt_load(ring.taken);
            // For who reads `seen`, too, the proxy has read what it has taken.
            rt_fence_sys();
            atomicMax(ring.seen, taken);
            rt_go_on(pe, looks);
        }
        if (index - taken < pe.depth) {
            // Two orders: what the proxy has read in this place comes before what is written there, and the data before
            // the descriptor.
            rt_fence_sys();
            rt_store2(slot + 6, (value >> 56) << 8 | mark, mark);
            rt_store2(slot + 4, offset << 8 | mark, value << 8 | mark);
            rt_store2(slot + 2, remote << 8 | mark, len << 8 | mark);
            rt_store2(slot, head << 8 | mark, local << 8 | mark);
            posted = true;
        }
    }
    return index + 1;
}

// The ring of this block.
__device__ inline const rt_ring &rt_my_ring(const rt_pe &pe) { return pe.rings[blockIdx.x % pe.ring_count]; }

__device__ inline u64 rt_head(u32 kind, u32 op, u32 dst) { return (u64)kind | (u64)op << 8 | (u64)dst << 16; }

// Thread scope: every thread that calls posts a put of its own.
__device__ inline void rt_put(const rt_pe &pe, u64 remote, u64 local, u64 len, u32 dst) {
    rt_post(pe, rt_my_ring(pe), rt_head(RT_PUT, RT_NO_SIGNAL, dst), local, remote, len, 0, 0);
}

__device__ inline void rt_put_signal(const rt_pe &pe, u64 remote, u64 local, u64 len, u64 word, u64 value, u32 op, u32 dst) {
    rt_post(pe, rt_my_ring(pe), rt_head(RT_PUT, op, dst), local, remote, len, word, value);
}

__device__ inline void rt_signal(const rt_pe &pe, u64 word, u64 value, u32 op, u32 dst) {
    rt_post(pe, rt_my_ring(pe), rt_head(RT_SIGNAL, op, dst), 0, 0, 0, word, value);
}

// Everything that any thread of this PE has posted before it met this one at a barrier has landed, and its signals are
// applied, when this returns.
__device__ inline void rt_quiet(const rt_pe &pe) {
    // A quiet in each ring: within a ring what was reserved before is taken before.
    u64 numbers[RT_RINGS];
    u32 looks = 0;
    for (u32 r = 0; r < pe.ring_count; r++) numbers[r] = rt_post(pe, pe.rings[r], rt_head(RT_QUIET, RT_NO_SIGNAL, 0), 0, 0, 0, 0, 0);
    for (u32 r = 0; r < pe.ring_count; r++) {
        while (rt_load(pe.rings[r].quiet) < numbers[r]) rt_go_on(pe, looks);
    }
    rt_fence_sys();
}

// Warp and block scope: all threads call, one posts.
__device__ inline void rt_put_warp(const rt_pe &pe, u64 remote, u64 local, u64 len, u32 dst) {
    __syncwarp();
    if (threadIdx.x % 32 == 0) rt_put(pe, remote, local, len, dst);
    __syncwarp();
}

__device__ inline void rt_put_block(const rt_pe &pe, u64 remote, u64 local, u64 len, u32 dst) {
    __syncthreads();
    if (threadIdx.x == 0) rt_put(pe, remote, local, len, dst);
    __syncthreads();
}

__device__ inline void rt_put_signal_warp(const rt_pe &pe, u64 remote, u64 local, u64 len, u64 word, u64 value, u32 op,
                                          u32 dst) {
    __syncwarp();
    if (threadIdx.x % 32 == 0) rt_put_signal(pe, remote, local, len, word, value, op, dst);
    __syncwarp();
}

__device__ inline void rt_put_signal_block(const rt_pe &pe, u64 remote, u64 local, u64 len, u64 word, u64 value, u32 op,
                                           u32 dst) {
    __syncthreads();
    if (threadIdx.x == 0) rt_put_signal(pe, remote, local, len, word, value, op, dst);
    __syncthreads();
}

// Waits until a word of this PE's heap is at least `value`; then the data of the puts that signalled it can be read.
__device__ inline void rt_wait_until_ge(const rt_pe &pe, u64 word, u64 value) {
    u32 looks = 0;
    while (rt_load((const u64 *)(pe.heap + word)) < value) rt_go_on(pe, looks);
    rt_fence_sys();
}

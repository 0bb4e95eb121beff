// What a kernel puts with: put, put with a signal, quiet, and waiting for signals. Addresses are offsets into the
// symmetric heap. To a PE whose heap this GPU reaches the kernel's threads store by themselves; to others they post. The other
// side is src/transport/gpu/: view.rs has these structures, descriptor.rs the layout of a descriptor, ring.rs that of a ring.
// Compiled by NVRTC, without any header of CUDA's.
#pragma once

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

// Where one ring has what. `next`, `seen` and `full` lie in the GPU's own memory, the rest in the host's.
struct rt_ring {
    u64 *slots;       // depth descriptors of eight words
    const u64 *taken; // how many the proxy has taken
    const u64 *quiet; // the last quiet that is done, as the number of descriptors posted with it
    u64 *stalls;      // `full`, for the proxy to see
    u64 *next;        // who posts next
    u64 *seen;        // `taken` as last read: the host's memory is far
    u64 *full;        // how often a thread found no room
};

// A PE as its kernels see it.
struct rt_pe {
    u8 *heap;         // this PE's heap, from `split` on
    u8 *low;          // before that: the host's part of a heap whose other part is the GPU's memory
    u64 split;        // 0: it lies in one piece
    u8 *const *peers; // by PE: as `heap`, where loads and stores reach it, else null
    u32 near;         // the first PE that has one there
    u32 far;          // the first after the last of them
    u64 bytes;        // of each heap
    u64 *slots;       // of the first ring
    u64 stride;       // words from one ring to the next
    u64 *counters;    // of the first ring: RT_COUNTERS words for each
    const u64 *stop; // not 0: the job has failed, nobody answers any more
    u64 *beat;       // changes while a long kernel is at it
    u32 ring_count;  // at most RT_RINGS
    u32 depth;       // of each ring, a power of two
    u32 me;
    u32 pes;
    u32 signals; // not 0: heaps in `peers` take this GPU's atomic operations; else the proxy applies all signals
    u32 posts;   // not 0: something may go through rings
};

#define RT_RINGS 16

// Words between figures of a ring that lie behind its slots, and words of its counters.
#define RT_APART 16
#define RT_COUNTERS 32

enum rt_signal { RT_NO_SIGNAL = 0, RT_SET = 1, RT_ADD = 2 };
enum rt_kind { RT_PUT = 1, RT_SIGNAL = 2, RT_QUIET = 3, RT_WRONG = 255 };
enum rt_scope { RT_THREAD = 0, RT_WARP = 1, RT_BLOCK = 2 };

// Loads and stores that other processors see, in the order of the fences between them.
__device__ inline u64 rt_load(const u64 *at) {
    u64 value;
    asm volatile("ld.relaxed.sys.global.u64 %0, [%1];" : "=l"(value) : "l"(at) : "memory");
    return value;
}

// What was written before the value was can be read from here on. Cheaper than a fence behind a load, which would wait for this
// thread's own stores, too.
__device__ inline u64 rt_load_acquire(const u64 *at) {
    u64 value;
    asm volatile("ld.acquire.sys.global.u64 %0, [%1];" : "=l"(value) : "l"(at) : "memory");
    return value;
}

__device__ inline void rt_store2(u64 *at, u64 a, u64 b) {
    asm volatile("st.relaxed.sys.global.v2.u64 [%0], {%1, %2};" ::"l"(at), "l"(a), "l"(b) : "memory");
}

__device__ inline void rt_store(u64 *at, u64 value) {
    asm volatile("st.relaxed.sys.global.u64 [%0], %1;" ::"l"(at), "l"(value) : "memory");
}

__device__ inline void rt_add(u64 *at, u64 value) {
    asm volatile("red.relaxed.sys.global.add.u64 [%0], %1;" ::"l"(at), "l"(value) : "memory");
}

__device__ inline void rt_fence_sys() { asm volatile("fence.acq_rel.sys;" ::: "memory"); }

// Whether the job has failed: what is waited for would never come. Looks once in a while, for the word is far.
__device__ inline bool rt_failed(const rt_pe &pe, u32 &looks) { return ++looks % 256 == 0 && rt_load(pe.stop); }

// Ends the thread then.
__device__ inline void rt_go_on(const rt_pe &pe, u32 &looks) {
    if (rt_failed(pe, looks)) asm volatile("exit;");
}

// Says now and then, some times a second, that a long kernel gets on, whichever of its blocks are on the GPU. `last` is when this
// thread said so, by the multiprocessor's clock; 0 at first.
__device__ inline void rt_beat(const rt_pe &pe, u64 &last) {
    if (threadIdx.x != 0) return;
    u64 now = clock64();
    if (now - last < 1ull << 26) return;
    last = now;
    rt_store(pe.beat, now);
}

// Takes the next place in a ring; threads of a warp that come together ask once. Has the effect of a fence at system scope, which is
// waited for together with the answer: one after the other they would take twice as long.
__device__ inline u64 rt_reserve(const rt_ring &ring) {
    u32 together = __match_any_sync(__activemask(), (u64)ring.next);
    u32 lane, before;
    asm("mov.u32 %0, %%laneid;" : "=r"(lane));
    asm("mov.u32 %0, %%lanemask_lt;" : "=r"(before));
    int first = __ffs(together) - 1;
    u64 start = 0;
    if (lane == (u32)first) start = atomicAdd(ring.next, (u64)__popc(together));
    rt_fence_sys();
    return __shfl_sync(together, start, first) + __popc(together & before);
}

// What a thread asks for in a descriptor.
struct rt_words {
    u64 head, local, remote, len, offset, value;
};

// Writes one into place number `index`, which is free.
__device__ inline void rt_write(const rt_pe &pe, const rt_ring &ring, u64 index, const rt_words &w) {
    u64 mark = ((index / pe.depth) & 127) + 1;
    u64 *slot = ring.slots + (index & (pe.depth - 1)) * 8;
    // Words carry 56 bits: what does not fit must not become something else.
    u64 head = (w.local | w.remote | w.len | w.offset) >> 56 ? RT_WRONG : w.head;
    rt_store2(slot + 6, (w.value >> 56) << 8 | mark, mark);
    rt_store2(slot + 4, w.offset << 8 | mark, w.value << 8 | mark);
    rt_store2(slot + 2, w.remote << 8 | mark, w.len << 8 | mark);
    rt_store2(slot, head << 8 | mark, w.local << 8 | mark);
}

// Asks how many descriptors the proxy has taken. What is written into their places comes behind what it has read there: for who reads
// `seen`, too.
__device__ inline u64 rt_ask_taken(const rt_ring &ring) {
    u64 taken = rt_load(ring.taken);
    rt_fence_sys();
    atomicMax(ring.seen, taken);
    return taken;
}

// Says that it has found no room. Of two that say so at once the lower count may be the last; the next one mends it.
__device__ inline void rt_stalled(const rt_ring &ring) { rt_store(ring.stalls, atomicAdd(ring.full, 1ull) + 1); }

// Writes one into place number `index` as soon as that is free; `taken` is what was last heard of what the proxy has.
__device__ inline void rt_write_in_turn(const rt_pe &pe, const rt_ring &ring, u64 index, u64 &taken, const rt_words &w) {
    u32 looks = 0;
    bool counted = false;
    // The stores are within the loop: whose place is free must not wait for threads of its warp whose place becomes free
    // only afterwards, in this ring or in another.
    for (bool posted = false; !posted;) {
        if (index - taken >= pe.depth) {
            taken = rt_ask_taken(ring);
            if (index - taken >= pe.depth && !counted) {
                rt_stalled(ring);
                counted = true;
            }
            rt_go_on(pe, looks);
        }
        if (index - taken < pe.depth) {
            rt_write(pe, ring, index, w);
            posted = true;
        }
    }
}

// Posts one descriptor; returns its number, counted from 1. What this thread has written before, and what others have
// that it has met at a barrier, is visible to the proxy when it sees the descriptor.
__device__ inline u64 rt_post(const rt_pe &pe, const rt_ring &ring, const rt_words &w) {
    // Never too high; asked for first, so that it is under way while a place is reserved.
    u64 taken = *(volatile u64 *)ring.seen;
    // Its fence is for two orders: what the proxy has read in this place comes before what is written there, and the data before
    // the descriptor.
    u64 index = rt_reserve(ring);
    rt_write_in_turn(pe, ring, index, taken, w);
    return index + 1;
}

// A ring by its number. All of it follows from the kernel's argument, so that nothing has to be loaded before a post.
__device__ inline rt_ring rt_ring_at(const rt_pe &pe, u32 number) {
    u64 *slots = pe.slots + pe.stride * number, *figures = slots + 8ull * pe.depth, *own = pe.counters + RT_COUNTERS * number;
    return {slots, figures, figures + RT_APART, figures + 2 * RT_APART, own, own + 16, own + 24};
}

// The ring of this block.
__device__ inline rt_ring rt_my_ring(const rt_pe &pe) { return rt_ring_at(pe, blockIdx.x % pe.ring_count); }

// A ring that one thread has to itself until it gives it back: its posts need no atomic operation while there is room. No other thread of any
// kernel may post into it meanwhile, nor ask for a quiet that goes through it: both would take places that are written to already.
struct rt_own {
    rt_ring ring;
    u64 next;  // descriptors posted so far, as `rt_ring`'s
    u64 taken; // as last read
};

__device__ inline rt_own rt_take_ring(const rt_pe &pe, u32 number) {
    rt_ring ring = rt_ring_at(pe, number);
    rt_own own = {ring, *(volatile u64 *)ring.next, *(volatile u64 *)ring.seen};
    // As `rt_reserve`: what the proxy had read before comes before what is written next.
    rt_fence_sys();
    return own;
}

__device__ inline void rt_give_ring(const rt_own &own) {
    *(volatile u64 *)own.ring.next = own.next;
    __threadfence();
}

// Posts one descriptor; returns its number, counted from 1. The proxy sees what is visible to all by then (`rt_fence_sys`, once for any number of posts; a
// kernel's end): it has no fence of its own.
__device__ inline u64 rt_post_own(const rt_pe &pe, rt_own &own, const rt_words &w) {
    rt_write_in_turn(pe, own.ring, own.next, own.taken, w);
    return ++own.next;
}

__device__ inline u64 rt_head(u32 kind, u32 op, u32 dst) { return (u64)kind | (u64)op << 8 | (u64)dst << 16; }

// The heap of a PE, if this GPU reaches it by itself. To find out costs who posts to PEs of other nodes nothing.
__device__ inline u8 *rt_reach(const rt_pe &pe, u32 dst) {
    return dst >= pe.near && dst < pe.far ? pe.peers[dst] : (u8 *)0;
}

__device__ inline bool rt_inside(const rt_pe &pe, u64 offset, u64 len) {
    return offset <= pe.bytes && len <= pe.bytes - offset && (offset >= pe.split || len <= pe.split - offset);
}

// Where this GPU reaches an offset of a PE whose heap is at `peer`, by itself; null if it has to be posted.
__device__ inline u8 *rt_there(const rt_pe &pe, u8 *peer, u64 offset, u32 dst) {
    if (!peer || offset >= pe.split) return peer ? peer + offset : 0;
    return dst == pe.me ? pe.low + offset : 0;
}

// Where this PE's own heap has an offset.
__device__ inline u8 *rt_at(const rt_pe &pe, u64 offset) { return (offset < pe.split ? pe.low : pe.heap) + offset; }

// Each thread has so many loads under way: what keeps a link busy is bytes under way.
#define RT_AT_ONCE 8

// Copies `count` values, by `ranks` threads of which this is one.
template <typename V> __device__ inline void rt_copy_as(V *to, const V *from, u64 count, u32 rank, u32 ranks) {
    const u64 stride = ranks;
    V held[RT_AT_ONCE];
    u64 i = rank;
    for (; i + (RT_AT_ONCE - 1) * stride < count; i += RT_AT_ONCE * stride) {
#pragma unroll
        for (u32 k = 0; k < RT_AT_ONCE; k++) held[k] = from[i + k * stride];
#pragma unroll
        for (u32 k = 0; k < RT_AT_ONCE; k++) to[i + k * stride] = held[k];
    }
    // The rest at once, too, and not load by load.
#pragma unroll
    for (u32 k = 0; k < RT_AT_ONCE; k++)
        if (i + k * stride < count) held[k] = from[i + k * stride];
#pragma unroll
    for (u32 k = 0; k < RT_AT_ONCE; k++)
        if (i + k * stride < count) to[i + k * stride] = held[k];
}

// Copies `len` bytes that do not overlap, by `ranks` threads of which this is number `rank`: in the widest units for which
// both ends are aligned alike.
__device__ inline void rt_copy(u8 *to, const u8 *from, u64 len, u32 rank, u32 ranks) {
    u32 apart = ((u64)to ^ (u64)from) & 15;
    u32 shift = apart == 0 ? 4 : apart == 8 ? 3 : apart % 4 == 0 ? 2 : 0;
    u64 head = -(u64)to & ((1u << shift) - 1);
    if (head > len) head = len;
    u64 count = (len - head) >> shift, done = head + (count << shift);
    if (rank < head) to[rank] = from[rank];
    for (u64 i = rank + (u64)ranks; i < head; i += ranks) to[i] = from[i];
    if (shift == 4) rt_copy_as((uint4 *)(to + head), (const uint4 *)(from + head), count, rank, ranks);
    if (shift == 3) rt_copy_as((u64 *)(to + head), (const u64 *)(from + head), count, rank, ranks);
    if (shift == 2) rt_copy_as((u32 *)(to + head), (const u32 *)(from + head), count, rank, ranks);
    if (shift == 0) rt_copy_as(to + head, from + head, count, rank, ranks);
    for (u64 i = done + rank; i < len; i += ranks) to[i] = from[i];
}

// Copies to a PE whose heap is at `peer`, or posts that. All of `ranks` threads call.
__device__ inline void rt_put_by(const rt_pe &pe, u8 *peer, u64 remote, u64 local, u64 len, u32 dst, u32 rank, u32 ranks) {
    bool inside = rt_inside(pe, remote, len) && rt_inside(pe, local, len);
    u8 *there = rt_there(pe, peer, remote, dst);
    if (there && inside) return rt_copy(there, rt_at(pe, local), len, rank, ranks);
    // What is wrong the proxy has to say.
    if (rank == 0) rt_post(pe, rt_my_ring(pe), {rt_head(inside ? RT_PUT : RT_WRONG, RT_NO_SIGNAL, dst), local, remote, len, 0, 0});
}

// Signals a PE whose heap is at `peer` if this GPU reaches it: what this thread has written before is there before the signal,
// and so is what others have that it has met at a barrier.
__device__ inline void rt_signal_by(const rt_pe &pe, u8 *peer, u64 word, u64 value, u32 op, u32 dst) {
    bool right = rt_inside(pe, word, 8) && word % 8 == 0;
    if (peer && right && pe.signals) {
        u64 *at = (u64 *)(peer + word);
        rt_fence_sys();
        if (op == RT_SET) rt_store(at, value);
        if (op == RT_ADD) rt_add(at, value);
        return;
    }
    rt_post(pe, rt_my_ring(pe), {rt_head(right ? RT_SIGNAL : RT_WRONG, op, dst), 0, 0, 0, word, value});
}

__device__ inline void rt_signal(const rt_pe &pe, u64 word, u64 value, u32 op, u32 dst) {
    rt_signal_by(pe, rt_reach(pe, dst), word, value, op, dst);
}

// A put with its signal in one descriptor.
__device__ inline rt_words rt_put_signal_words(const rt_pe &pe, u64 remote, u64 local, u64 len, u64 word, u64 value, u32 op, u32 dst) {
    bool inside = rt_inside(pe, remote, len) && rt_inside(pe, local, len);
    return {rt_head(inside ? RT_PUT : RT_WRONG, op, dst), local, remote, len, word, value};
}
__device__ inline void rt_post_put_signal(const rt_pe &pe, u64 remote, u64 local, u64 len, u64 word, u64 value, u32 op,
                                          u32 dst) {
    rt_post(pe, rt_my_ring(pe), rt_put_signal_words(pe, remote, local, len, word, value, op, dst));
}

// A quiet in each of some rings, at most RT_RINGS, waited for.
__device__ inline void rt_quiet_rings(const rt_pe &pe, u32 first, u32 count) {
    // Within a ring what was reserved before is taken before.
    u64 numbers[RT_RINGS];
    u32 looks = 0;
    for (u32 r = 0; r < count; r++)
        numbers[r] = rt_post(pe, rt_ring_at(pe, first + r), {rt_head(RT_QUIET, RT_NO_SIGNAL, 0), 0, 0, 0, 0, 0});
    for (u32 r = 0; r < count; r++) {
        while (rt_load(rt_ring_at(pe, first + r).quiet) < numbers[r]) rt_go_on(pe, looks);
    }
}

// Everything that any thread of this PE has put before it met this one at a barrier has landed, and its signals are
// applied, when this returns.
__device__ inline void rt_quiet(const rt_pe &pe) {
    if (pe.posts) rt_quiet_rings(pe, 0, pe.ring_count);
    rt_fence_sys();
}

// The same of what threads of this block have put.
__device__ inline void rt_quiet_mine(const rt_pe &pe) {
    if (pe.posts) rt_quiet_rings(pe, blockIdx.x % pe.ring_count, 1);
    rt_fence_sys();
}

// Threads that put together: which of them this one is, how many there are, and where they meet.
struct rt_thread_scope {
    static __device__ u32 rank() { return 0; }
    static __device__ u32 ranks() { return 1; }
    static __device__ void meet() {}
};
struct rt_warp_scope {
    static __device__ u32 rank() { return threadIdx.x % 32; }
    // The last warp of a block may have fewer than others.
    static __device__ u32 ranks() { return min(32u, blockDim.x - threadIdx.x / 32 * 32); }
    static __device__ void meet() { __syncwarp(); }
};
struct rt_block_scope {
    static __device__ u32 rank() { return threadIdx.x; }
    static __device__ u32 ranks() { return blockDim.x; }
    static __device__ void meet() { __syncthreads(); }
};

template <typename Scope> __device__ inline void rt_put_as(const rt_pe &pe, u64 remote, u64 local, u64 len, u32 dst) {
    Scope::meet();
    rt_put_by(pe, rt_reach(pe, dst), remote, local, len, dst, Scope::rank(), Scope::ranks());
    Scope::meet();
}

template <typename Scope>
__device__ inline void rt_put_signal_as(const rt_pe &pe, u64 remote, u64 local, u64 len, u64 word, u64 value, u32 op, u32 dst) {
    u8 *peer = rt_reach(pe, dst);
    bool first = Scope::rank() == 0;
    Scope::meet();
    // What is posted must have its signal with it.
    if (rt_there(pe, peer, remote, dst)) {
        rt_put_by(pe, peer, remote, local, len, dst, Scope::rank(), Scope::ranks());
        Scope::meet();
        if (first) rt_signal_by(pe, peer, word, value, op, dst);
    } else if (first) {
        rt_post_put_signal(pe, remote, local, len, word, value, op, dst);
    }
    Scope::meet();
}

// Thread scope: every thread that calls has a put of its own. Warp and block scope: all threads call, and copy together or one
// of them posts.
__device__ inline void rt_put(const rt_pe &pe, u64 remote, u64 local, u64 len, u32 dst) {
    rt_put_as<rt_thread_scope>(pe, remote, local, len, dst);
}
__device__ inline void rt_put_warp(const rt_pe &pe, u64 remote, u64 local, u64 len, u32 dst) {
    rt_put_as<rt_warp_scope>(pe, remote, local, len, dst);
}
__device__ inline void rt_put_block(const rt_pe &pe, u64 remote, u64 local, u64 len, u32 dst) {
    rt_put_as<rt_block_scope>(pe, remote, local, len, dst);
}

__device__ inline void rt_put_signal(const rt_pe &pe, u64 remote, u64 local, u64 len, u64 word, u64 value, u32 op, u32 dst) {
    rt_put_signal_as<rt_thread_scope>(pe, remote, local, len, word, value, op, dst);
}
__device__ inline void rt_put_signal_warp(const rt_pe &pe, u64 remote, u64 local, u64 len, u64 word, u64 value, u32 op,
                                          u32 dst) {
    rt_put_signal_as<rt_warp_scope>(pe, remote, local, len, word, value, op, dst);
}
__device__ inline void rt_put_signal_block(const rt_pe &pe, u64 remote, u64 local, u64 len, u64 word, u64 value, u32 op,
                                           u32 dst) {
    rt_put_signal_as<rt_block_scope>(pe, remote, local, len, word, value, op, dst);
}

// Waits until a word of this PE's heap is at least `value`; false when the job has failed before.
__device__ inline bool rt_arrived(const rt_pe &pe, u64 word, u64 value) {
    const u64 *at = (const u64 *)rt_at(pe, word);
    u32 looks = 0;
    while (rt_load(at) < value)
        if (rt_failed(pe, looks)) return false;
    // Once, and not with every look: that throws away what the multiprocessor has cached each time.
    rt_load_acquire(at);
    return true;
}

// The same, and ends the thread when the job fails; then the data of the puts that signalled the word can be read.
__device__ inline void rt_wait_until_ge(const rt_pe &pe, u64 word, u64 value) {
    if (!rt_arrived(pe, word, value)) asm volatile("exit;");
}

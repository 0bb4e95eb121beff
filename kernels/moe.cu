// `bench moe`: tokens to their experts, and their answers back, as pplx-kernels' dispatch and combine.
#include "railtop.cuh"

// One token on its way to one expert.
struct rt_trip {
    u32 token;
    u32 pe;     // that has the expert
    u32 expert; // counted on that PE
    u32 nth;    // of this PE's tokens that go to that expert
};

// One answer on its way back.
struct rt_answer {
    u32 pe;     // where its token came from
    u32 back;   // the slot there
    u32 answer; // its number among this PE's
    u32 unused;
};

// One answer of a token.
struct rt_part {
    u32 back;
    float weight;
};

// Offsets are in the heap, tables in the GPU's memory.
struct rt_moe {
    u64 tokens;   // this PE's tokens, a slot each
    u64 slots;    // rows that come: a slot for each source, expert of this PE, and count
    u64 answers;  // what this PE's experts say
    u64 returned; // what comes back
    u64 results;  // what the tokens come to
    u64 counts;   // words: how many rows come, by source and expert
    u64 arrived;  // words: how many have, likewise
    u64 back;     // words: how many answers have come back, by PE
    u64 slot_bytes;
    u64 answer_bytes;
    u64 least;            // the least word of `counts` in this round
    const u64 *announced; // the words for all PEs' experts
    const u64 *before;    // where `arrived` stood before the round
    const u64 *due;       // where `back` will stand after it
    const rt_trip *trips;
    const rt_answer *ways;
    const rt_part *parts; // token by token
    u32 trip_count;
    u32 answer_count;
    u32 token_count;
    u32 topk;
    u32 local;   // experts of a PE
    u32 experts; // of all
    u32 dim;     // values of a token, an even number
    u32 unused;
};

__device__ inline u32 rt_thread() { return blockIdx.x * blockDim.x + threadIdx.x; }
__device__ inline u32 rt_threads() { return gridDim.x * blockDim.x; }

// Counts first, then a warp for each token and expert; over for a block when the rows that it looks for are here, and so for
// the grid when all are. All of the grid must be on the GPU at once, for blocks wait for what other PEs' blocks send.
extern "C" __global__ void __launch_bounds__(1024) rt_moe_dispatch(rt_pe pe, rt_moe m) {
    for (u32 i = rt_thread(); i < m.experts; i += rt_threads()) {
        u32 expert = i % m.local, dst = i / m.local;
        rt_signal(pe, m.counts + 8ull * (pe.me * m.local + expert), m.announced[i], RT_SET, dst);
    }
    __syncwarp();
    for (u32 i = rt_thread() / 32; i < m.trip_count; i += rt_threads() / 32) {
        const rt_trip trip = m.trips[i];
        const u64 group = pe.me * m.local + trip.expert;
        const u64 remote = m.slots + (group * m.token_count + trip.nth) * m.slot_bytes;
        const u64 local = m.tokens + trip.token * m.slot_bytes;
        rt_put_signal_warp(pe, remote, local, m.slot_bytes, m.arrived + 8 * group, 1, RT_ADD, trip.pe);
    }
    for (u32 i = rt_thread(); i < m.experts; i += rt_threads()) {
        const u64 word = m.counts + 8ull * i;
        rt_wait_until_ge(pe, word, m.least);
        const u64 count = rt_load((const u64 *)rt_at(pe, word)) & 0xffff;
        if (count) rt_wait_until_ge(pe, m.arrived + 8ull * i, m.before[i] + count);
    }
}

__device__ inline float rt_bf16(u32 bits) { return __uint_as_float(bits << 16); }

// To the nearest, ties to even; there is no NaN here.
__device__ inline u32 rt_to_bf16(float value) {
    u32 bits = __float_as_uint(value);
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

// A warp for each answer; when all of this PE's are back, each thread adds up two values of a token at a time. Products and
// sums are rounded one by one, as the host's, so that results are the same to the bit.
extern "C" __global__ void __launch_bounds__(1024) rt_moe_combine(rt_pe pe, rt_moe m) {
    for (u32 i = rt_thread() / 32; i < m.answer_count; i += rt_threads() / 32) {
        const rt_answer way = m.ways[i];
        const u64 remote = m.returned + way.back * m.answer_bytes, local = m.answers + way.answer * m.answer_bytes;
        rt_put_signal_warp(pe, remote, local, m.answer_bytes, m.back + 8ull * pe.me, 1, RT_ADD, way.pe);
    }
    bool failed = false;
    for (u32 p = threadIdx.x; p < pe.pes; p += blockDim.x) failed |= !rt_arrived(pe, m.back + 8ull * p, m.due[p]);
    if (__syncthreads_or(failed)) return;
    const u32 pairs = m.dim / 2;
    const u64 all = (u64)m.token_count * pairs;
    for (u64 i = rt_thread(); i < all; i += rt_threads()) {
        const u32 token = i / pairs, pair = i % pairs;
        float low = 0, high = 0;
        for (u32 k = 0; k < m.topk; k++) {
            const rt_part part = m.parts[token * m.topk + k];
            const u32 both = *(const u32 *)rt_at(pe, m.returned + part.back * m.answer_bytes + 4ull * pair);
            low = __fadd_rn(low, __fmul_rn(part.weight, rt_bf16(both & 0xffff)));
            high = __fadd_rn(high, __fmul_rn(part.weight, rt_bf16(both >> 16)));
        }
        *(u32 *)rt_at(pe, m.results + token * m.answer_bytes + 4ull * pair) = rt_to_bf16(high) << 16 | rt_to_bf16(low);
    }
}

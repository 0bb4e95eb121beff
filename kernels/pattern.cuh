// Patterns by which every word of a block of data can be told, and checking them: what src/workload/verify.rs does on the
// host, word for word the same.
#pragma once

// What blocks that nothing was written to hold.
#define RT_POISON 0xdeadbeefa5a55a5aull

// The first word that was found wrong. In the GPU's memory, zeroed before a kernel.
struct rt_report {
    u64 wrong; // how many there were
    u64 src, dst, round;
    u64 at; // byte of the block
    u64 len;
    u64 got, want;
};

// Whose block it is.
struct rt_block {
    u32 src, dst;
    u64 round;
};

// The word at `index`.
__device__ inline u64 rt_pattern(const rt_block &block, u64 index) {
    u64 id = ((u64)block.src << 32 | block.dst) ^ (block.round << 17 | block.round >> 47);
    u64 x = id * 0x9e3779b97f4a7c15ull + index;
    // The finaliser of splitmix64 (Steele, Lea, Flood 2014).
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

// Which bits of a word belong to a block that has `left` bytes from there on.
__device__ inline u64 rt_mask(u64 left) { return left >= 8 ? ~0ull : (1ull << left * 8) - 1; }

__device__ inline void rt_merge(u64 *word, u64 value, u64 mask) {
    *word = mask == ~0ull ? value : (*word & ~mask) | (value & mask);
}

// The bytes from `from`, a multiple of 8, to `to` of a block of `len` bytes at `words`, by `ranks` threads: filled.
__device__ inline void rt_fill(u64 *words, const rt_block &block, u64 len, u64 from, u64 to, u32 rank, u32 ranks) {
    for (u64 i = from / 8 + rank; from < to && i * 8 < to; i += ranks) rt_merge(words + i, rt_pattern(block, i), rt_mask(len - i * 8));
}

// Poisoned.
__device__ inline void rt_poison(u64 *words, u64 len, u64 from, u64 to, u32 rank, u32 ranks) {
    for (u64 i = from / 8 + rank; from < to && i * 8 < to; i += ranks) rt_merge(words + i, RT_POISON, rt_mask(len - i * 8));
}

// Checked, and then poisoned, so that old data cannot pass for new.
__device__ inline void rt_check(u64 *words, const rt_block &block, u64 len, u64 from, u64 to, u32 rank, u32 ranks,
                                rt_report *report) {
    for (u64 i = from / 8 + rank; from < to && i * 8 < to; i += ranks) {
        u64 mask = rt_mask(len - i * 8);
        u64 got = words[i] & mask, want = rt_pattern(block, i) & mask;
        if (got != want && atomicAdd(&report->wrong, 1ull) == 0) {
            report->src = block.src, report->dst = block.dst, report->round = block.round;
            report->at = i * 8, report->len = len, report->got = got, report->want = want;
        }
        rt_merge(words + i, RT_POISON, mask);
    }
}

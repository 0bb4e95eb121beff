// Filling and checking blocks of the heap, for kernels that do not do it themselves.
#include "railtop.cuh"
#include "pattern.cuh"

// This thread among all of the grid.
__device__ inline u32 rt_rank() { return blockIdx.x * blockDim.x + threadIdx.x; }
__device__ inline u32 rt_ranks() { return gridDim.x * blockDim.x; }

extern "C" __global__ void __launch_bounds__(1024) rt_fill_block(rt_pe pe, u64 offset, u64 len, rt_block block) {
    rt_fill((u64 *)rt_at(pe, offset), block, len, 0, len, rt_rank(), rt_ranks());
}

extern "C" __global__ void __launch_bounds__(1024) rt_poison_block(rt_pe pe, u64 offset, u64 len) {
    rt_poison((u64 *)rt_at(pe, offset), len, 0, len, rt_rank(), rt_ranks());
}

extern "C" __global__ void __launch_bounds__(1024) rt_check_block(rt_pe pe, u64 offset, u64 len, rt_block block,
                                                                  rt_report *report) {
    rt_check((u64 *)rt_at(pe, offset), block, len, 0, len, rt_rank(), rt_ranks(), report);
}

/*
 * railtop.h: RDMA traffic per NIC, sampled in the background.
 *
 * A sampler is a thread of its own that reads the counters of this machine's RDMA NICs at an interval (sysfs, RDMA
 * netlink, and the counter pages of railtop's transport) and keeps what it read in memory of a fixed size, oldest first
 * out. Nobody's data path is touched, and no privileges are needed.
 *
 *     railtop_options options = RAILTOP_OPTIONS_INIT;
 *     railtop_sampler *nics = NULL;
 *     if (railtop_sampler_start(&options, &nics) != RAILTOP_OK) { fputs(railtop_error_message(), stderr); ... }
 *     ... work ...
 *     railtop_sampler_stop(nics);
 *     char *trace = NULL;
 *     if (railtop_sampler_trace(nics, RAILTOP_CLOCK_MONOTONIC, 0, &trace) == RAILTOP_OK) { fputs(trace, file); }
 *     railtop_text_free(trace);
 *     railtop_sampler_free(nics);
 *
 * UNITS are in the names: bytes, ns (nanoseconds), bytes_per_s. Counters are cumulative, rates are over the time that was
 * measured between two reads of the same NIC (dt_ns).
 *
 * MISSING IS NEVER 0. A counter that was not read lacks its RAILTOP_HAS_* flag, a rate or number that is not known is NaN,
 * a text that is not known is NULL. There is no rate at first sight, after a reset of the counters and over a gap.
 *
 * ERRORS: functions return a railtop_status_code; RAILTOP_OK is 0. railtop_error_message() says in words what went wrong in
 * this thread's last call that returned a code. Out parameters are written on success only. Nothing is printed, and a bug inside of the
 * library is RAILTOP_E_BUG, never a crash of the caller through unwinding. (Rust's message of such a bug goes to stderr.)
 *
 * ENVIRONMENT: read in railtop_sampler_start alone, on the thread that calls it (RAILTOP_SYSFS_ROOT, RAILTOP_PAGE_DIR).
 *
 * THREADS: every function may be called from any thread at any time, with the one exception of railtop_sampler_free, after
 * which nobody may use the sampler. All signals are blocked in the library's own threads.
 *
 * FORK: a sampler belongs to the process that started it. In a child of that process its thread does not exist; each
 * function says RAILTOP_E_FORKED there, and railtop_sampler_free does nothing. A child that goes on without exec may start a
 * sampler of its own: that takes memory and threads, which POSIX promises only to children of programs without threads, and
 * glibc gives to all. In a child of vfork, call nothing of this library.
 *
 * LIFETIME: texts in railtop_nic and railtop_group live until railtop_sampler_free. The library is never unmapped, so dlclose
 * is harmless and without effect.
 *
 * VERSIONS: the ABI has a major and a minor number. A program works with a library of the same major number and of its own
 * or a higher minor one; railtop_abi_version() says what is loaded. Structures only ever grow at the end. Whoever calls says
 * how long it knows them to be (`size`, `sample_size`), the library writes no further and takes what it is not told for 0.
 */
#ifndef RAILTOP_H
#define RAILTOP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RAILTOP_ABI_MAJOR 0
#define RAILTOP_ABI_MINOR 1

/* What functions return. */
typedef int32_t railtop_status_code;
#define RAILTOP_OK 0
#define RAILTOP_E_ARGUMENT 1 /* an argument is NULL, out of range or no text in UTF-8 */
#define RAILTOP_E_SYSTEM 2   /* the system refused something, such as another thread */
#define RAILTOP_E_FORKED 3   /* the sampler belongs to the parent of this process */
#define RAILTOP_E_TIMEOUT 4  /* it did not happen in time */
#define RAILTOP_E_ENDED 5    /* the sampler's thread has ended, so it will not happen */
#define RAILTOP_E_BUG 6      /* a bug of the library; please report what it printed */

/* A background sampler. Opaque. */
typedef struct railtop_sampler railtop_sampler;

/* What to sample. Begin with RAILTOP_OPTIONS_INIT. */
typedef struct railtop_options {
    size_t size;             /* sizeof(railtop_options) */
    const char *sysfs_root;  /* where sysfs lies; NULL: $RAILTOP_SYSFS_ROOT, else /sys */
    const char *devices;     /* names or patterns with * and ?, separated by commas; NULL: all */
    const char *source;      /* "page", "sysfs", "netlink", "netdev" or "auto"; NULL: "auto" */
    uint64_t interval_ns;    /* time between samples, 10 ms to 1 h; 0: 100 ms */
    uint64_t capacity;       /* most samples kept of NICs, and most of balances, 64 bytes each; 0: 1000000 */
} railtop_options;

#define RAILTOP_OPTIONS_INIT { sizeof(railtop_options), NULL, NULL, NULL, 0, 0 }

/* How a sampler is. Set `size` to sizeof(railtop_status) before. */
typedef struct railtop_status {
    size_t size;
    uint64_t interval_ns;      /* time between samples */
    uint64_t ticks;            /* rounds of reads so far */
    uint64_t missed_ticks;     /* rounds that were left out because the machine or a device was too slow */
    uint64_t samples;          /* samples of NICs that are kept */
    uint64_t lost_samples;     /* samples of NICs that had to make room for newer ones */
    uint64_t lost_balances;    /* the same for balances */
    uint32_t nics;             /* NICs seen so far */
    uint32_t groups;           /* groups seen so far */
    uint32_t running;          /* 1 while the thread samples, else 0 */
    uint32_t reserved;
} railtop_status;

/* How a NIC's numbers are known. One or several of these; see also docs/counters.md. */
typedef struct railtop_nic {
    size_t size;            /* sizeof(railtop_nic), set before */
    const char *key;        /* its identity: the same across samples and samplers of one machine */
    const char *device;     /* device name, such as mlx5_0 */
    const char *driver;     /* kernel driver, or libfabric's provider for a counter page, or NULL */
    const char *source;     /* "page", "sysfs", "netlink" or "netdev" */
    const char *pci;        /* PCI address, or NULL */
    const char *netdev;     /* network interface, or NULL */
    double link_bits_per_s; /* line rate, or NaN */
    int32_t numa;           /* NUMA node, or -1, as the kernel says it */
    uint32_t port;          /* port of the device, from 1 */
    uint32_t group;         /* the group it was first seen in */
    uint32_t reserved;
} railtop_nic;

/* NICs that should share one load: those of a PE, of a GPU, of a NUMA node, or else of the machine. */
typedef struct railtop_group {
    size_t size;         /* sizeof(railtop_group), set before */
    const char *key;     /* its identity */
    const char *name;    /* what people call it */
    const char *kind;    /* "pe", "gpu", "numa" or "node" */
    const char *node;    /* host name */
    const char *gpu;     /* PCI address of the GPU, or several with commas, or NULL */
    int32_t numa;        /* NUMA node where that is what ties it together, or -1 */
    int32_t pe;          /* PE number, or -1 */
} railtop_group;

/* Flags of a sample. */
#define RAILTOP_HAS_TX_BYTES 0x1u
#define RAILTOP_HAS_RX_BYTES 0x2u
#define RAILTOP_NEW 0x100u     /* first sight, or a gap: rates come with the next sample */
#define RAILTOP_RESET 0x200u   /* the counters began again */
#define RAILTOP_STALE 0x400u   /* it could not be read; bytes are those of the last good read, at mono_ns */
#define RAILTOP_DEAD 0x800u    /* counter page: its process ended without a word */
#define RAILTOP_STALLED 0x1000u /* counter page: its process does not publish */
#define RAILTOP_TORN 0x2000u   /* counter page: the numbers may be of different moments */
#define RAILTOP_GONE 0x4000u   /* the device went away */
#define RAILTOP_DOWN 0x8000u   /* its PE does without it because it failed */
#define RAILTOP_UNSURE 0x10000u /* a read took so long that its moment is not known well enough for a rate */

/* One NIC, read once. */
typedef struct railtop_sample {
    uint32_t nic;           /* for railtop_sampler_nic */
    uint32_t flags;         /* RAILTOP_HAS_TX_BYTES ... RAILTOP_UNSURE, or-ed */
    uint64_t mono_ns;       /* the middle of the read, on CLOCK_MONOTONIC */
    int64_t wall_minus_mono_ns; /* add it to have that moment on CLOCK_REALTIME, ns since 1970 */
    uint64_t dt_ns;         /* since the earlier read that the rates are made of; 0 where there are no rates */
    uint64_t tx_bytes;      /* sent since the counter began, if RAILTOP_HAS_TX_BYTES */
    uint64_t rx_bytes;      /* received since the counter began, if RAILTOP_HAS_RX_BYTES */
    double tx_bytes_per_s;  /* over dt_ns, or NaN */
    double rx_bytes_per_s;
} railtop_sample;

/* How evenly a group shares its load over one interval. */
typedef struct railtop_balance {
    uint32_t group;            /* for railtop_sampler_group */
    uint32_t nics;             /* NICs in the group; 0 once, when it is not there any more */
    uint64_t mono_ns;          /* when the sampler's round began, on CLOCK_MONOTONIC */
    int64_t wall_minus_mono_ns;
    double tx_bytes_per_s;     /* sum of the NICs whose rate is known, or NaN */
    double rx_bytes_per_s;
    double tx_max_over_mean;   /* busiest NIC over mean of all: 1 = even, N = one of N; NaN: nothing moves, or not known */
    double rx_max_over_mean;
} railtop_balance;

/* Clocks of a trace. */
typedef int32_t railtop_clock;
#define RAILTOP_CLOCK_MONOTONIC 1 /* VizTracer, perf, most tracers on Linux */
#define RAILTOP_CLOCK_REALTIME 2  /* PyTorch's profiler (Kineto), whose base is baseTimeNanoseconds in its file */

/* The loaded library's ABI: major in the upper 16 bits, minor in the lower. */
uint32_t railtop_abi_version(void);

/* The loaded library's version, such as "0.1.0". Lives for ever. */
const char *railtop_version(void);

/*
 * Why this thread's last call failed, in a sentence; "" if it did not. Lives until this thread's next call. Calls that return
 * no code, such as railtop_sampler_free and railtop_text_free, leave it as it is.
 */
const char *railtop_error_message(void);

/*
 * Starts a sampler and waits for its first round of reads: devices that are slow are not waited for longer than 50 ms, and
 * the round as a whole, on a machine that hangs, not longer than 2 s; then it comes later.
 * `options` may be NULL and is not needed afterwards. A machine without NICs is no error: railtop_sampler_notes says why
 * there are none, and NICs that come later are seen.
 */
railtop_status_code railtop_sampler_start(const railtop_options *options, railtop_sampler **sampler);

/*
 * Reads once more, so that the last interval is there, and ends the thread. What was sampled stays. Takes as long as the
 * slowest device, 1 s at most. Once is enough, a second call does nothing. Where the last round is less than 10 ms old and has
 * no counter page in it, there is no other: drivers keep their numbers for about as long.
 */
railtop_status_code railtop_sampler_stop(railtop_sampler *sampler);

/* Stops the sampler if it runs, and frees everything that belongs to it. NULL is fine. */
void railtop_sampler_free(railtop_sampler *sampler);

/* Waits until `ticks` rounds of reads are done since the start, `timeout_ns` at most. */
railtop_status_code railtop_sampler_wait(railtop_sampler *sampler, uint64_t ticks, uint64_t timeout_ns);

/* How the sampler is. */
railtop_status_code railtop_sampler_status(railtop_sampler *sampler, railtop_status *status);

/* The NIC with this number, from 0 to railtop_status.nics - 1. Numbers stay. */
railtop_status_code railtop_sampler_nic(railtop_sampler *sampler, uint32_t nic, railtop_nic *out);

/* The group with this number, from 0 to railtop_status.groups - 1. Numbers stay. */
railtop_status_code railtop_sampler_group(railtop_sampler *sampler, uint32_t group, railtop_group *out);

/*
 * Copies samples in the order they were made, `max` at most, and says in `count` how many; 0 when there are no more for now.
 * `cursor` is where to begin, 0 at first, and is moved on; where samples were lost meanwhile it jumps to the oldest that is
 * kept, so the difference between *cursor after the call and *cursor before + *count is how many were missed.
 * `sample_size` is sizeof(railtop_sample).
 */
railtop_status_code railtop_sampler_read(railtop_sampler *sampler, uint64_t *cursor, railtop_sample *out,
                                         size_t sample_size, size_t max, size_t *count);

/* The same for the balance of groups; `balance_size` is sizeof(railtop_balance). */
railtop_status_code railtop_sampler_read_balance(railtop_sampler *sampler, uint64_t *cursor, railtop_balance *out,
                                                 size_t balance_size, size_t max, size_t *count);

/*
 * What a person should know, a line each: why there is no NIC, which device cannot be read, what was lost. "" if nothing.
 * To be freed with railtop_text_free.
 */
railtop_status_code railtop_sampler_notes(railtop_sampler *sampler, char **text);

/*
 * Everything that is kept as a Chrome trace (JSON, UTF-8): counter tracks for Perfetto, chrome://tracing and whatever else
 * reads that format. Per NIC "DEVICE Tx" and "DEVICE Rx" in Gbit/s, per group of several NICs "GROUP Tx balance" and "... Rx balance"
 * in max/mean. Times are those of `clock` minus `base_ns`. A counter of such a trace keeps its value until the next, so
 * a rate stands at the beginning of the time it was measured over. It cannot be absent: where a NIC's rate is not known it falls to
 * 0 below a slice that says why, as a balance does once its group is not there any more; and a balance is 0 where nothing moves
 * (a real one is never below 1). Where devices or groups share a name, theirs have what tells them apart: group, job, process.
 * To be freed with railtop_text_free.
 */
railtop_status_code railtop_sampler_trace(railtop_sampler *sampler, railtop_clock clock, int64_t base_ns, char **text);

/* Frees a text that this library gave. NULL is fine. */
void railtop_text_free(char *text);

#ifdef __cplusplus
}
#endif

#endif

/* Known traffic between pairs of endpoints of one process, for the tests of the hook.
 *
 *   traffic [-p PROVIDER] [-t THREADS] [-T safe|domain|completion] [-F context|msg|data|tagged|unspec]
 *           [-e EVERY] [-l LIBRARY] [-f] [-k] [-x] [-o] [-1] [-2 LIBRARY] [-m] OP:COUNT:BYTES...
 *
 * OP: send sendv sendmsg inject tsend tinject write writev writemsg writedata inject_write read atomic.
 *     wait: for COUNT bytes from stdin.
 * -e: only every EVERYth `sendmsg` asks for a completion (selective completion).  -l: libfabric by dlopen.
 * -x: afterwards closes all file descriptors but the first three, and opens others, which must stay open.
 * -1: says at the end whether the C library still takes the process for one of a single thread: single, threads, or unknown.
 * -2: then everything once more with another libfabric, by dlopen.  -m: meanwhile forks children that only end.
 * -o: threads open and close at the same time, and not one after the other.
 * -f: then a forked child does it all again, from the beginning.  -k: ends by SIGKILL, one second after all is done.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rdma/fabric.h>
#include <rdma/fi_atomic.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_rma.h>
#include <rdma/fi_tagged.h>

/* glibc's, since 2.32. */
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#define TAKEN_FOR (__libc_single_threaded ? "single" : "threads")
#else
#define TAKEN_FOR "unknown"
#endif

static int (*getinfo)(uint32_t, const char *, const char *, uint64_t, const struct fi_info *, struct fi_info **);
static struct fi_info *(*dupinfo)(const struct fi_info *);
static int (*fabric_open)(struct fi_fabric_attr *, struct fid_fabric **, void *);

#define ROOM (1 << 20)
#define DEPTH 64

static const char *provider = "tcp;ofi_rxm", *library = "libfabric.so.1";
static enum fi_cq_format format = FI_CQ_FORMAT_MSG;
static enum fi_threading threading = FI_THREAD_SAFE;
static int every, operations, at_once, meanwhile;
static char **operation;
static struct fi_info *info;
static struct fid_fabric *fabric;
static struct fid_domain *domain;
static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;

#define OK(call) do { long rc_ = (long)(call); if (rc_) { \
    fprintf(stderr, "line %d: %s: %ld\n", __LINE__, #call, rc_); exit(1); } } while (0)

struct side {
    struct fid_ep *ep;
    struct fid_cq *cq;
    struct fid_av *av;
    struct fid_mr *mr;
    fi_addr_t peer;
    char *memory;
    long completions;
};

static void poll_cq(struct side *side)
{
    struct fi_cq_tagged_entry entries[8];
    ssize_t n = fi_cq_read(side->cq, entries, 8);
    if (n > 0) {
        side->completions += n;
    } else if (n == -FI_EAVAIL) {
        struct fi_cq_err_entry error = {0};
        fi_cq_readerr(side->cq, &error, 0);
        fprintf(stderr, "completion failed: %d\n", error.err);
        exit(1);
    }
}

static void open_side(struct side *side, uint64_t key)
{
    struct fi_cq_attr cq = { .format = format, .size = 1024 };
    struct fi_av_attr av = { .type = FI_AV_TABLE };
    OK(fi_cq_open(domain, &cq, &side->cq, NULL));
    OK(fi_av_open(domain, &av, &side->av, NULL));
    OK(fi_endpoint(domain, info, &side->ep, NULL));
    if (every) {
        OK(fi_ep_bind(side->ep, &side->cq->fid, FI_TRANSMIT | FI_SELECTIVE_COMPLETION));
        OK(fi_ep_bind(side->ep, &side->cq->fid, FI_RECV));
    } else {
        OK(fi_ep_bind(side->ep, &side->cq->fid, FI_TRANSMIT | FI_RECV));
    }
    OK(fi_ep_bind(side->ep, &side->av->fid, 0));
    OK(fi_enable(side->ep));
    side->memory = calloc(1, ROOM);
    if (info->caps & FI_RMA)
        OK(fi_mr_reg(domain, side->memory, ROOM, FI_REMOTE_READ | FI_REMOTE_WRITE | FI_READ | FI_WRITE, 0, key, 0,
                     &side->mr, NULL));
}

static void close_side(struct side *side)
{
    if (side->mr)
        OK(fi_close(&side->mr->fid));
    OK(fi_close(&side->ep->fid));
    OK(fi_close(&side->cq->fid));
    OK(fi_close(&side->av->fid));
    free(side->memory);
}

static void meet(struct side *from, struct side *to)
{
    char name[256];
    size_t len = sizeof name;
    OK(fi_getname(&to->ep->fid, name, &len));
    if (fi_av_insert(from->av, name, 1, &from->peer, 0, NULL) != 1) {
        fprintf(stderr, "address not taken\n");
        exit(1);
    }
}

static ssize_t post(const char *op, struct side *a, struct side *b, size_t len, long i, int *completes, int *arrives)
{
    struct iovec iov[2] = { { a->memory, len / 2 }, { a->memory + len / 2, len - len / 2 } };
    struct iovec whole = { a->memory, len };
    uint64_t at = info->domain_attr->mr_mode & FI_MR_VIRT_ADDR ? (uintptr_t)b->memory : 0;
    uint64_t key = b->mr ? fi_mr_key(b->mr) : 0;
    *completes = !every, *arrives = 0;
    if (!strcmp(op, "send")) return *arrives = 1, fi_send(a->ep, a->memory, len, NULL, a->peer, NULL);
    if (!strcmp(op, "sendv")) return *arrives = 1, fi_sendv(a->ep, iov, NULL, 2, a->peer, NULL);
    if (!strcmp(op, "sendmsg")) {
        struct fi_msg msg = { .msg_iov = &whole, .iov_count = 1, .addr = a->peer };
        *arrives = 1, *completes = !every || i % every == 0;
        return fi_sendmsg(a->ep, &msg, *completes ? FI_COMPLETION : 0);
    }
    if (!strcmp(op, "inject")) return *arrives = 1, *completes = 0, fi_inject(a->ep, a->memory, len, a->peer);
    if (!strcmp(op, "tsend")) return *arrives = 2, fi_tsend(a->ep, a->memory, len, NULL, a->peer, 7, NULL);
    if (!strcmp(op, "tinject")) return *arrives = 2, *completes = 0, fi_tinject(a->ep, a->memory, len, a->peer, 7);
    if (!strcmp(op, "write")) return fi_write(a->ep, a->memory, len, NULL, a->peer, at, key, NULL);
    if (!strcmp(op, "writev")) return fi_writev(a->ep, iov, NULL, 2, a->peer, at, key, NULL);
    if (!strcmp(op, "writemsg")) {
        struct fi_rma_iov to = { at, len, key };
        struct fi_msg_rma msg = { .msg_iov = &whole, .iov_count = 1, .addr = a->peer, .rma_iov = &to, .rma_iov_count = 1 };
        return fi_writemsg(a->ep, &msg, FI_COMPLETION);
    }
    if (!strcmp(op, "writedata")) return *arrives = 3, fi_writedata(a->ep, a->memory, len, NULL, 5, a->peer, at, key, NULL);
    if (!strcmp(op, "inject_write")) return *completes = 0, fi_inject_write(a->ep, a->memory, len, a->peer, at, key);
    if (!strcmp(op, "read")) return fi_read(a->ep, a->memory, len, NULL, a->peer, at, key, NULL);
    if (!strcmp(op, "atomic")) return fi_atomic(a->ep, a->memory, len / 8, NULL, a->peer, at, key, FI_UINT64, FI_SUM, NULL);
    fprintf(stderr, "no such operation: %s\n", op);
    exit(2);
}

static void run(const char *word, struct side *a, struct side *b)
{
    char op[32];
    long count, len;
    if (sscanf(word, "%31[^:]:%ld:%ld", op, &count, &len) != 3 || len > ROOM) {
        fprintf(stderr, "cannot read %s\n", word);
        exit(2);
    }
    if (!strcmp(op, "wait")) {
        while (count-- > 0 && getchar() != EOF)
            ;
        return;
    }
    long sent = a->completions, got = b->completions, expect_sent = 0, expect_got = 0;
    for (long i = 0; i < count; i++) {
        int completes, arrives;
        ssize_t rc;
        if (!strncmp(op, "t", 1))
            while ((rc = fi_trecv(b->ep, b->memory, ROOM, NULL, FI_ADDR_UNSPEC, 7, 0, NULL)) == -FI_EAGAIN)
                poll_cq(b);
        else if (!strncmp(op, "send", 4) || !strcmp(op, "inject"))
            while ((rc = fi_recv(b->ep, b->memory, ROOM, NULL, FI_ADDR_UNSPEC, NULL)) == -FI_EAGAIN)
                poll_cq(b);
        while ((rc = post(op, a, b, len, i, &completes, &arrives)) == -FI_EAGAIN)
            poll_cq(a), poll_cq(b);
        OK(rc);
        expect_sent += completes;
        expect_got += arrives != 0;
        while (expect_sent - (a->completions - sent) > DEPTH || expect_got - (b->completions - got) > DEPTH)
            poll_cq(a), poll_cq(b);
    }
    while (a->completions - sent < expect_sent || b->completions - got < expect_got)
        poll_cq(a), poll_cq(b);
    /* What nobody waits for is on its way still: a read comes back behind it. */
    if (!strcmp(op, "inject_write"))
        for (int i = 0; i < 1000; i++)
            poll_cq(a), poll_cq(b);
}

static void *thread(void *number)
{
    struct side a = {0}, b = {0};
    if (!at_once)
        pthread_mutex_lock(&opening);
    open_side(&a, 100 + 2 * (intptr_t)number);
    open_side(&b, 101 + 2 * (intptr_t)number);
    meet(&a, &b);
    if (!at_once)
        pthread_mutex_unlock(&opening);
    for (int i = 0; i < operations; i++)
        run(operation[i], &a, &b);
    if (!at_once)
        pthread_mutex_lock(&opening);
    close_side(&a);
    close_side(&b);
    if (!at_once)
        pthread_mutex_unlock(&opening);
    return NULL;
}

/* Children end as a program does, with what is called at its end. */
static void *forking(void *none)
{
    for (int i = 0; i < 100; i++) {
        int status;
        pid_t child = fork();
        if (child == 0)
            exit(0);
        if (child < 0 || waitpid(child, &status, 0) != child || status)
            exit(8);
    }
    return none;
}

static void find(const char *name)
{
    void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    *(void **)&getinfo = dlsym(handle, "fi_getinfo");
    *(void **)&dupinfo = dlsym(handle, "fi_dupinfo");
    *(void **)&fabric_open = dlsym(handle, "fi_fabric");
}

static void all(long threads)
{
    struct fi_info *hints = dupinfo(NULL);
    int rma = 0, atomic = 0;
    for (int i = 0; i < operations; i++) {
        rma |= strstr(operation[i], "write") || !strncmp(operation[i], "read", 4);
        atomic |= !strncmp(operation[i], "atomic", 6);
    }
    hints->caps = FI_MSG | FI_TAGGED | (rma || atomic ? FI_RMA : 0) | (atomic ? FI_ATOMIC : 0);
    hints->ep_attr->type = FI_EP_RDM;
    hints->domain_attr->threading = threading;
    hints->domain_attr->mr_mode = FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY;
    hints->domain_attr->data_progress = FI_PROGRESS_MANUAL;
    hints->fabric_attr->prov_name = strdup(provider);
    OK(getinfo(FI_VERSION(1, 17), "127.0.0.1", NULL, FI_SOURCE, hints, &info));
    OK(fabric_open(info->fabric_attr, &fabric, NULL));
    OK(fi_domain(fabric, info, &domain, NULL));
    pthread_t ids[256], children;
    for (long i = 1; i < threads; i++)
        OK(pthread_create(&ids[i], NULL, thread, (void *)i));
    if (meanwhile)
        OK(pthread_create(&children, NULL, forking, NULL));
    thread(NULL);
    if (meanwhile)
        OK(pthread_join(children, NULL));
    for (long i = 1; i < threads; i++)
        OK(pthread_join(ids[i], NULL));
    OK(fi_close(&domain->fid));
    OK(fi_close(&fabric->fid));
}

/* Registered first, so it runs last of all that is called at the end of a program. */
static void still_open(void)
{
    for (int fd = 3; fd < 64; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            _exit(9);
}

int main(int argc, char **argv)
{
    long threads = 1;
    const char *second = NULL;
    int forks = 0, kills = 0, closes = 0, tells = 0, option;
    while ((option = getopt(argc, argv, "p:t:T:F:e:l:fkxo12:m")) != -1) {
        switch (option) {
        case 'p': provider = optarg; break;
        case 't': threads = atol(optarg); break;
        case 'T': threading = *optarg == 's' ? FI_THREAD_SAFE : *optarg == 'd' ? FI_THREAD_DOMAIN : FI_THREAD_COMPLETION; break;
        case 'F': format = *optarg == 'c' ? FI_CQ_FORMAT_CONTEXT : *optarg == 'm' ? FI_CQ_FORMAT_MSG :
                           *optarg == 'd' ? FI_CQ_FORMAT_DATA : *optarg == 't' ? FI_CQ_FORMAT_TAGGED : FI_CQ_FORMAT_UNSPEC; break;
        case 'e': every = atoi(optarg); break;
        case 'l': library = optarg; break;
        case 'f': forks = 1; break;
        case 'k': kills = 1; break;
        case 'o': at_once = 1; break;
        case '1': tells = 1; break;
        case '2': second = optarg; break;
        case 'm': meanwhile = 1; break;
        case 'x': closes = 1; atexit(still_open); break;
        default: return 2;
        }
    }
    operations = argc - optind, operation = argv + optind;
#ifdef LINKED
    getinfo = fi_getinfo, dupinfo = fi_dupinfo, fabric_open = fi_fabric;
#else
    find(library);
#endif
    all(threads);
    if (second)
        find(second), all(threads);
    if (forks) {
        pid_t child = fork();
        if (child == 0) {
            all(threads);
            exit(0);
        }
        int status;
        if (child < 0 || waitpid(child, &status, 0) != child || status)
            return 1;
    }
    if (closes) {
        for (int fd = 3; fd < 64; fd++)
            close(fd);
        for (int fd = 3; fd < 64; fd++)
            if (open("/dev/null", O_RDWR) != fd)
                return 1;
    }
    if (kills) {
        sleep(1);
        raise(SIGKILL);
    }
    puts(tells ? TAKEN_FOR : "ok");
    return 0;
}

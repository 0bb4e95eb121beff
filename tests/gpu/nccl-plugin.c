/*
 * What NCCL does with a network plugin, without NCCL and without a GPU: two ranks connect both ways and send messages from the
 * host's memory, each of which has to arrive as it was sent.
 *
 *   nccl-plugin PLUGIN RANK DIRECTORY COUNT:BYTES…     RANK: 0 or 1; DIRECTORY: empty, the same for both
 *
 * Built with the headers in aws-ofi-nccl's source (3rd-party/nccl/cuda/include), -ldl.
 */
#include <dlfcn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <nccl/net.h>

/* Messages under way at once, in each direction. */
enum { WINDOW = 8, TAG = 7 };

static const ncclNet_v11_t *net;
static int rank;

static void fail(const char *what)
{
    fprintf(stderr, "rank %d: %s\n", rank, what);
    exit(1);
}

static void must(ncclResult_t result, const char *what)
{
    if (result != ncclSuccess) {
        fprintf(stderr, "rank %d: %s: NCCL's error %d\n", rank, what, result);
        exit(1);
    }
}

static void log_line(ncclDebugLogLevel level, unsigned long flags, const char *file, int line, const char *format, ...)
{
    va_list arguments;
    (void)flags;
    if (level > NCCL_LOG_WARN && getenv("NCCL_DEBUG") == NULL)
        return;
    va_start(arguments, format);
    fprintf(stderr, "rank %d: %s:%d ", rank, file, line);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

/* The other rank's handle, once it is there. */
static void exchange(const char *directory, const char *mine, char *theirs)
{
    char draft[4096], path[4096];
    FILE *file;
    int tries;

    snprintf(draft, sizeof draft, "%s/draft.%d", directory, rank);
    snprintf(path, sizeof path, "%s/handle.%d", directory, rank);
    file = fopen(draft, "w");
    if (file == NULL || fwrite(mine, NCCL_NET_HANDLE_MAXSIZE, 1, file) != 1 || fclose(file) != 0 || rename(draft, path) != 0)
        fail("the handle cannot be written");
    snprintf(path, sizeof path, "%s/handle.%d", directory, 1 - rank);
    for (tries = 0; (file = fopen(path, "r")) == NULL; tries++) {
        if (tries == 3000)
            fail("the other rank does not come");
        usleep(10000);
    }
    if (fread(theirs, NCCL_NET_HANDLE_MAXSIZE, 1, file) != 1)
        fail("the other rank's handle is short");
    fclose(file);
}

/* Byte `at` of message `number` of rank `from`. */
static unsigned char pattern(int from, unsigned long number, size_t at)
{
    return (unsigned char)(at * 31 + number * 7 + (unsigned)from * 101 + 1);
}

struct window {
    void *comm;
    unsigned char *memory;
    void *registered;
    void *requests[WINDOW];
    unsigned long begun, over;
};

static void make_window(struct window *window, void *comm, size_t bytes)
{
    memset(window, 0, sizeof *window);
    window->comm = comm;
    window->memory = aligned_alloc(4096, (WINDOW * bytes + 4095) / 4096 * 4096);
    if (window->memory == NULL)
        fail("no memory");
    must(net->regMr(comm, window->memory, WINDOW * bytes, NCCL_PTR_HOST, &window->registered), "regMr");
}

static void free_window(struct window *window)
{
    must(net->deregMr(window->comm, window->registered), "deregMr");
    free(window->memory);
}

/* Takes what is over, in order; true if something was. */
static bool take(struct window *window, size_t bytes, bool received)
{
    unsigned long slot = window->over % WINDOW;
    unsigned char *memory = window->memory + slot * bytes;
    int done = 0, size = -1;
    size_t at;

    if (window->over == window->begun)
        return false;
    must(net->test(window->requests[slot], &done, &size), "test");
    if (!done)
        return false;
    if (received) {
        if ((size_t)size != bytes)
            fail("a message of another length has arrived");
        for (at = 0; at < bytes; at++)
            if (memory[at] != pattern(1 - rank, window->over, at))
                fail("a byte is wrong");
    }
    window->over++;
    return true;
}

static void messages(void *send_comm, void *receive_comm, unsigned long count, size_t bytes)
{
    struct window out, in;
    size_t at;

    make_window(&out, send_comm, bytes);
    make_window(&in, receive_comm, bytes);
    while (out.over < count || in.over < count) {
        if (in.begun < count && in.begun - in.over < WINDOW) {
            void **request = &in.requests[in.begun % WINDOW], *phandle = NULL;
            void *data = in.memory + in.begun % WINDOW * bytes;
            size_t size = bytes;
            int tag = TAG;
            *request = NULL;
            must(net->irecv(receive_comm, 1, &data, &size, &tag, &in.registered, &phandle, request), "irecv");
            in.begun += *request != NULL;
        }
        if (out.begun < count && out.begun - out.over < WINDOW) {
            void **request = &out.requests[out.begun % WINDOW];
            unsigned char *data = out.memory + out.begun % WINDOW * bytes;
            for (at = 0; at < bytes; at++)
                data[at] = pattern(rank, out.begun, at);
            *request = NULL;
            must(net->isend(send_comm, data, bytes, TAG, out.registered, NULL, request), "isend");
            out.begun += *request != NULL;
        }
        take(&out, bytes, false);
        take(&in, bytes, true);
    }
    free_window(&in);
    free_window(&out);
}

int main(int argc, char **argv)
{
    char mine[NCCL_NET_HANDLE_MAXSIZE] = {0}, theirs[NCCL_NET_HANDLE_MAXSIZE];
    void *plugin, *context = NULL, *listening = NULL, *send_comm = NULL, *receive_comm = NULL;
    ncclNetCommConfig_v11_t config = {NCCL_NET_TRAFFIC_CLASS_UNDEF};
    ncclNetProperties_v11_t properties;
    struct timespec end, now;
    int devices = 0, word;

    if (argc < 5) {
        fprintf(stderr, "usage: %s PLUGIN RANK DIRECTORY COUNT:BYTES...\n", argv[0]);
        return 2;
    }
    rank = atoi(argv[2]);
    plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (plugin == NULL)
        fail(dlerror());
    net = dlsym(plugin, "ncclNetPlugin_v11");
    if (net == NULL)
        fail("no ncclNetPlugin_v11 in it");
    must(net->init(&context, 1, &config, log_line, NULL), "init");
    must(net->devices(&devices), "devices");
    if (devices < 1)
        fail("no device");
    must(net->getProperties(0, &properties), "getProperties");
    printf("rank %d: %s, device 0 of %d: %s, %d Mbit/s\n", rank, net->name, devices, properties.name, properties.speed);

    must(net->listen(context, 0, mine, &listening), "listen");
    exchange(argv[3], mine, theirs);
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += 30;
    while (send_comm == NULL || receive_comm == NULL) {
        if (send_comm == NULL)
            must(net->connect(context, 0, theirs, &send_comm, NULL), "connect");
        if (receive_comm == NULL)
            must(net->accept(listening, &receive_comm, NULL), "accept");
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec > end.tv_sec)
            fail("not connected after 30 s");
    }
    for (word = 4; word < argc; word++) {
        unsigned long count;
        size_t bytes;
        if (sscanf(argv[word], "%lu:%zu", &count, &bytes) != 2)
            fail("not COUNT:BYTES");
        messages(send_comm, receive_comm, count, bytes);
    }
    must(net->closeSend(send_comm), "closeSend");
    must(net->closeRecv(receive_comm), "closeRecv");
    must(net->closeListen(listening), "closeListen");
    if (net->finalize != NULL)
        must(net->finalize(context), "finalize");
    return 0;
}

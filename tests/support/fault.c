/* A kernel or a C library that does what it never does, so that one thread of the real program panics when a test wants it.
 *
 * Loaded before the program's libraries (LD_PRELOAD). Nothing in railtop is made for this: Rust's standard library takes
 * a clock, or random numbers, that cannot be had for a bug, and a read that gives more bytes than there was room for is
 * found when they are looked at.
 *
 * A clock and a sleep fail once: what takes the time, or waits a moment for the terminal, while a thread panics would panic
 * again, which ends the process on the spot.
 *
 *   RAILTOP_FAULT         clock | random | sleep | read
 *   RAILTOP_FAULT_WHERE   the name of the thread; for `read` a part of the file's path
 *   RAILTOP_FAULT_WHEN    a file: from when on it is there
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int is_wanted(const char *kind) {
    const char *fault = getenv("RAILTOP_FAULT");
    return fault && strcmp(fault, kind) == 0;
}

static int thread_is_the_one(void) {
    char name[16] = "";
    const char *where = getenv("RAILTOP_FAULT_WHERE");
    return where && prctl(PR_GET_NAME, name) == 0 && strcmp(name, where) == 0;
}

static int moment_has_come(void) {
    const char *when = getenv("RAILTOP_FAULT_WHEN");
    int before = errno, there = when && access(when, F_OK) == 0;
    errno = before;
    return there;
}

static int strikes(const char *kind) { return is_wanted(kind) && thread_is_the_one() && moment_has_come(); }

static int strikes_once(const char *kind) {
    static int struck;
    if (struck || !strikes(kind)) return 0;
    struck = 1;
    return 1;
}

static int file_is_the_one(int fd) {
    char link[64], path[4096];
    const char *where = getenv("RAILTOP_FAULT_WHERE");
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (!where || length < 0) return 0;
    path[length] = 0;
    return strstr(path, where) != NULL;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    if (strikes_once("clock")) {
        errno = EINVAL;
        return -1;
    }
    return syscall(SYS_clock_gettime, clock, time);
}

ssize_t getrandom(void *buffer, size_t size, unsigned flags) {
    if (strikes("random")) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_getrandom, buffer, size, flags);
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *left) {
    if (strikes_once("sleep")) return EINVAL;
    return syscall(SYS_clock_nanosleep, clock, flags, time, left) == 0 ? 0 : errno;
}

int nanosleep(const struct timespec *time, struct timespec *left) {
    if (strikes_once("sleep")) {
        errno = EINVAL;
        return -1;
    }
    return syscall(SYS_nanosleep, time, left);
}

ssize_t pread64(int fd, void *buffer, size_t size, off_t at) {
    if (is_wanted("read") && file_is_the_one(fd) && moment_has_come()) return size + 1;
    return syscall(SYS_pread64, fd, buffer, size, at);
}

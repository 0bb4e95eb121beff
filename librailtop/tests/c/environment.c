/*
 * A program's environment is its own to change, at any time: only the thread that calls the library may look at it. This
 * getenv stands in for the C library's, also for the library under test.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "railtop.h"

extern char **environ;

static pthread_t caller;
static atomic_int here, elsewhere;

char *getenv(const char *name)
{
    size_t length = strlen(name);
    char **variable;
    if (pthread_equal(pthread_self(), caller)) {
        atomic_fetch_add(&here, 1);
    } else {
        atomic_fetch_add(&elsewhere, 1);
        fprintf(stderr, "another thread asks for %s\n", name);
    }
    for (variable = environ; *variable; variable++)
        if (!strncmp(*variable, name, length) && (*variable)[length] == '=')
            return *variable + length + 1;
    return NULL;
}

int main(void)
{
    railtop_options options = RAILTOP_OPTIONS_INIT;
    railtop_sampler *nics = NULL;
    caller = pthread_self();
    options.interval_ns = 10000000;
    if (railtop_sampler_start(&options, &nics) != RAILTOP_OK || railtop_sampler_wait(nics, 5, 60000000000u) != RAILTOP_OK)
        return 1;
    railtop_sampler_free(nics);
    printf("asked by the caller: %s, by others: %d\n", atomic_load(&here) > 0 ? "yes" : "no", atomic_load(&elsewhere));
    return 0;
}

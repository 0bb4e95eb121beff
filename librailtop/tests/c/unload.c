/* Opened at run time, closed while it samples, opened again: argv[1] is the library. Then waits for its input to end. */
#include <dlfcn.h>
#include <stdio.h>

#include "railtop.h"

typedef railtop_status_code (*start_fn)(const railtop_options *, railtop_sampler **);
typedef railtop_status_code (*wait_fn)(railtop_sampler *, uint64_t, uint64_t);

int main(int argc, char **argv)
{
    railtop_options options = RAILTOP_OPTIONS_INIT;
    railtop_sampler *nics = NULL;
    start_fn start;
    wait_fn wait_for;
    void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!library)
        return fprintf(stderr, "%s\n", dlerror()) ? 1 : 1;
    /* POSIX's way to a function from an object pointer. */
    *(void **)&start = dlsym(library, "railtop_sampler_start");
    *(void **)&wait_for = dlsym(library, "railtop_sampler_wait");
    options.interval_ns = 10000000;
    if (start(&options, &nics) != RAILTOP_OK)
        return 2;
    dlclose(library);
    /* Its thread still runs, in code that is still there. */
    if (wait_for(nics, 5, 60000000000u) != RAILTOP_OK)
        return 3;
    puts("fine");
    fflush(stdout);
    return getchar() == EOF ? 0 : 4;
}

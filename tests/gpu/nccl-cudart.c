/*
 * As much of CUDA's runtime as aws-ofi-nccl asks for when it starts, so that it starts without a GPU and its driver.
 *
 * The plugin, built with --enable-cudart-dynamic, opens libcudart.so by its name and gets the driver's functions from it. Here all of
 * them fail as on a machine whose driver has not been initialised; the plugin then knows of no GPU, and moves the host's memory alone.
 */
#include <string.h>

/* What these return, in CUDA's numbers (cuda.h, driver_types.h). */
enum { SUCCESS = 0, NOT_INITIALIZED = 3, SYMBOL_FOUND = 0, RUNTIME = 13000 };

static int no_driver(void)
{
    return NOT_INITIALIZED;
}

static int driver_version(int *version)
{
    *version = RUNTIME;
    return SUCCESS;
}

int cudaRuntimeGetVersion(int *version)
{
    *version = RUNTIME;
    return SUCCESS;
}

int cudaGetDriverEntryPointByVersion(const char *symbol, void **function, unsigned version, unsigned long long flags, int *status)
{
    (void)version;
    (void)flags;
    *function = strcmp(symbol, "cuDriverGetVersion") == 0 ? (void *)driver_version : (void *)no_driver;
    *status = SYMBOL_FOUND;
    return SUCCESS;
}

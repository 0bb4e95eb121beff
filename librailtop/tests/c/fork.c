/* A sampler after a fork: the child is told, the parent goes on, and the child may have one of its own. */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "railtop.h"

static int child(railtop_sampler *parents)
{
    railtop_options options = RAILTOP_OPTIONS_INIT;
    railtop_sampler *own = NULL;
    railtop_status status;
    status.size = sizeof status;
    if (railtop_sampler_status(parents, &status) != RAILTOP_E_FORKED || railtop_sampler_stop(parents) != RAILTOP_E_FORKED)
        return 1;
    railtop_sampler_free(parents);
    if (railtop_sampler_start(&options, &own) != RAILTOP_OK || railtop_sampler_wait(own, 1, 60000000000u) != RAILTOP_OK)
        return 2;
    railtop_sampler_free(own);
    return 0;
}

int main(void)
{
    railtop_options options = RAILTOP_OPTIONS_INIT;
    railtop_sampler *nics = NULL;
    railtop_status status;
    int ended = 0, round;
    options.interval_ns = 10000000;
    if (railtop_sampler_start(&options, &nics) != RAILTOP_OK)
        return 3;
    /* The thread may be anywhere at a fork, with its lock held too. */
    for (round = 0; round < 20; round++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(child(nics));
        if (pid < 0 || waitpid(pid, &ended, 0) != pid || !WIFEXITED(ended) || WEXITSTATUS(ended) != 0) {
            printf("round %d ended with status %d\n", round, ended);
            return 4;
        }
    }
    status.size = sizeof status;
    if (railtop_sampler_status(nics, &status) != RAILTOP_OK || !status.running)
        return 5;
    railtop_sampler_free(nics);
    puts("fine");
    return 0;
}

/* MPI_Alltoall beside `railtop bench alltoall`: rounds one after another, without a barrier between them; only the last of
 * railtop's also ends with a quiet. Prints microseconds a round, of the rank that took longest.
 *
 *   alltoall BYTES ROUNDS     BYTES: what a rank sends in all, itself included
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    int rank, world;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &world);
    if (argc != 3) {
        if (rank == 0)
            fprintf(stderr, "usage: alltoall BYTES ROUNDS\n");
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    long block = atol(argv[1]) / world, rounds = atol(argv[2]);
    char *send = malloc(block * world), *receive = malloc(block * world);
    if (block <= 0 || rounds <= 0 || !send || !receive)
        MPI_Abort(MPI_COMM_WORLD, 1);
    memset(send, 1 + rank % 100, block * world);
    memset(receive, 0, block * world);

    /* Connections are made and buffers grow in the first. */
    MPI_Alltoall(send, block, MPI_CHAR, receive, block, MPI_CHAR, MPI_COMM_WORLD);
    MPI_Barrier(MPI_COMM_WORLD);
    double begun = MPI_Wtime();
    for (long i = 0; i < rounds; i++)
        MPI_Alltoall(send, block, MPI_CHAR, receive, block, MPI_CHAR, MPI_COMM_WORLD);
    double mean = (MPI_Wtime() - begun) / rounds, slowest;
    MPI_Reduce(&mean, &slowest, 1, MPI_DOUBLE, MPI_MAX, 0, MPI_COMM_WORLD);
    for (int other = 0; other < world; other++)
        if (receive[other * block] != 1 + other % 100)
            MPI_Abort(MPI_COMM_WORLD, 1);
    if (rank == 0)
        printf("%.1f\n", slowest * 1e6);
    MPI_Finalize();
    return 0;
}

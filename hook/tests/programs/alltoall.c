/* alltoall ROUNDS BYTES [probe]: so many all-to-alls of so many bytes from each rank to each; or messages round the ranks, looked for first. */
#include <stdio.h>
#include <stdlib.h>

#ifdef OPEN_MPI
/* What is used of Open MPI 4's interface, so that its development package is not needed. */
extern char ompi_mpi_comm_world[], ompi_mpi_byte[];
#define MPI_COMM_WORLD ((void *)ompi_mpi_comm_world)
#define MPI_BYTE ((void *)ompi_mpi_byte)
int MPI_Init(int *, char ***), MPI_Finalize(void), MPI_Comm_size(void *, int *);
int MPI_Comm_rank(void *, int *), MPI_Probe(int, int, void *, void *);
int MPI_Send(const void *, int, void *, int, int, void *), MPI_Recv(void *, int, void *, int, int, void *, void *);
#define MPI_STATUS_IGNORE ((void *)0)
int MPI_Alltoall(const void *, int, void *, void *, int, void *, void *);
#else
#include <mpi.h>
#endif

int main(int argc, char **argv)
{
    int rank, ranks, rounds = argc > 1 ? atoi(argv[1]) : 1, bytes = argc > 2 ? atoi(argv[2]) : 1;
    MPI_Init(&argc, &argv);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    char *from = calloc(ranks, bytes), *to = calloc(ranks, bytes);
    for (int i = 0; i < rounds; i++)
        if (MPI_Alltoall(from, bytes, MPI_BYTE, to, bytes, MPI_BYTE, MPI_COMM_WORLD))
            return 1;
    if (argc > 3) {
        MPI_Comm_rank(MPI_COMM_WORLD, &rank);
        if (MPI_Send(from, bytes, MPI_BYTE, (rank + 1) % ranks, 3, MPI_COMM_WORLD) ||
            MPI_Probe((rank + ranks - 1) % ranks, 3, MPI_COMM_WORLD, MPI_STATUS_IGNORE) ||
            MPI_Recv(to, bytes, MPI_BYTE, (rank + ranks - 1) % ranks, 3, MPI_COMM_WORLD, MPI_STATUS_IGNORE))
            return 1;
    }
    MPI_Finalize();
    return 0;
}

/* Times MPI_Allreduce in place on float32: mpi-all-reduce BYTES REPETITIONS prints the median seconds. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    int rank, repetitions = atoi(argv[2]);
    long count = atol(argv[1]) / (long)sizeof(float);
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    float *buffer = malloc(count * sizeof(float));
    double *seconds = malloc(repetitions * sizeof(double));
    for (long i = 0; i < count; i++)
        buffer[i] = 0.001f * rank;

    /* The first is a warm-up. */
    for (int i = -1; i < repetitions; i++) {
        MPI_Barrier(MPI_COMM_WORLD);
        double start = MPI_Wtime();
        MPI_Allreduce(MPI_IN_PLACE, buffer, (int)count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
        MPI_Barrier(MPI_COMM_WORLD);
        if (i >= 0)
            seconds[i] = MPI_Wtime() - start;
    }

    qsort(seconds, repetitions, sizeof(double), by_size);
    if (rank == 0)
        printf("%.9f\n", seconds[repetitions / 2]);
    MPI_Finalize();
    return 0;
}

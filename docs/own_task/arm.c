/* The planar arm as a program of your own, in C: binary frames. cc -O2 arm.c -o arm -lm */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define DIM 12

/* Reads n bytes; 0 when standard input has ended. */
static int take(void *bytes, size_t n) { return fread(bytes, 1, n, stdin) == n; }

static void simulate(const float *genome, double *scores) {
    const double pi = 3.14159265358979323846;
    double mean = 0, spread = 0, angle = 0, x = 0, y = 0;
    for (int i = 0; i < DIM; i++) mean += genome[i] / DIM;
    for (int i = 0; i < DIM; i++) {
        spread += (genome[i] - mean) * (genome[i] - mean) / DIM;
        angle += 2 * pi * genome[i] - pi;
        x += cos(angle) / DIM;
        y += sin(angle) / DIM;
    }
    scores[0] = -sqrt(spread);   /* fitness */
    scores[1] = 0.5 + 0.5 * x;   /* descriptor */
    scores[2] = 0.5 + 0.5 * y;
}

int main(void) {
    int c;
    do { c = getchar(); } while (c != '\n' && c != EOF);   /* the greeting: this program goes by what it says itself */
    printf("{\"illume\": 1, \"dim\": %d, \"bounds\": [0, 1], \"descriptor\": [{\"name\": \"x\", \"lower\": 0, \"upper\": 1},"
           " {\"name\": \"y\", \"lower\": 0, \"upper\": 1}], \"fitness\": \"minus the standard deviation of the genes\","
           " \"qd_offset\": 0.5, \"deterministic\": true, \"frames\": \"binary\", \"batch\": 64}\n", DIM);
    fflush(stdout);

    uint32_t head[3];                                      /* bytes that follow the first number, rows, 0 */
    while (take(head, sizeof head)) {
        uint32_t rows = head[1], length = rows * 3 * sizeof(double);
        uint64_t *seeds = malloc(rows * sizeof *seeds);    /* this task does without them */
        float *genomes = malloc((size_t)rows * DIM * sizeof *genomes);
        double *scores = malloc(length);
        if (!seeds || !genomes || !scores) return 1;
        if (!take(seeds, rows * sizeof *seeds) || !take(genomes, (size_t)rows * DIM * sizeof *genomes)) return 1;
        for (uint32_t i = 0; i < rows; i++) simulate(genomes + (size_t)i * DIM, scores + 3 * (size_t)i);
        fwrite(&length, sizeof length, 1, stdout);
        fwrite(scores, 1, length, stdout);
        fflush(stdout);
        free(seeds); free(genomes); free(scores);
    }
    return 0;
}
